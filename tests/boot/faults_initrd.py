# SPDX-License-Identifier: LGPL-2.1-or-later
"""Faults of the initrd: what is missing, dies or hangs."""

import json

from cases import DISK, GIB, LUKS, MIB, check_equal, check_outcome, directory
from fault import SCRIPT, FaultVM, check_fault, check_no_fault, check_time, drop_in, find_in_initrd, program, shim
from integrity import AUTHENTICATED
from machine import CPU
from registry import case
from script import Script
from vm import VM, Image, check

TMPFS = "ccvm-scratch-tmpfs.service"

# A symlink to nowhere takes a file away, as an appended archive can only add.
GONE = "/gone"


def image(size=256 * MIB):
    return Image(directory() / "disk", size)


def fault(name, reason, files, append="", where=None, **fields):
    where = where or image()
    report = FaultVM(name, append, where.device(), files=files, **fields).run()
    check_fault(report, reason)
    return report


def without_modules(pattern):
    """In the tree of the kernel and in ours."""
    return {path: GONE for path in find_in_initrd(rf"usr/lib/.*/{pattern}\.ko.*")}


@case
def no_dm_crypt():
    report = fault("no-dm-crypt", "kernel", without_modules("dm-crypt"))
    check("no dm_crypt" in report.status["detail"], f"detail: {report.status['detail']}")


@case
def no_xts():
    """The cipher's mode, and with it what the CPU would do itself. Linux 7 has a slow one built in."""
    files, where = without_modules("(xts|aesni-intel)"), image()
    ciphers = [path for path in files if "aesni" in path]
    check(all("ccvm-scratch/modules/" in path for path in ciphers), "the kernel finds AES by itself, at each boot")
    if any("/xts.ko" in path for path in files):
        fault("no-xts", "activate", files, where=where)
    else:
        check_no_fault(FaultVM("no-xts", "", where.device(), files=files).run(), 256 * MIB)


NO_ZRAM = Script(
    ("tags", "cat /run/ccvm-scratch/tags; echo; cat /sys/block/loop0/size; losetup -n -O BACK-FILE,AUTOCLEAR"),
    ("use", "head -c 8M /dev/urandom >/tmp/big; cp /tmp/big /scratch; sync; echo 3 >/proc/sys/vm/drop_caches; cmp /tmp/big /scratch/big && echo same"),
    ("told", "journalctl -b -o cat -t ccvm-scratch-setup | grep 'no zram'"),
    ("wiped", "ccvm-scratch wipe --yes; echo $?; losetup -n 2>/dev/null || true"),
)


@case
def no_zram():
    """The tags are in a loop device then, which takes the RAM for all of them; and goes with a wipe."""
    report = FaultVM("no-zram", AUTHENTICATED, image().device(), NO_ZRAM, without_modules("zram"), stock=True).run()
    check_outcome(report, "encrypted")
    check_equal([report.status["integrity"], report.line("use")], ["hmac-sha256", "same"], "the disk")
    check_equal(report.lines("tags")[:2], ["loop0", "4096"], "the tags")
    check_equal(len(report.lines("told")), 1, "how often it is told")
    check_equal(report.lines("wiped"), ["0"], "loop devices after a wipe")


@case
def no_mkfs():
    fault("no-mkfs", "mkfs", {"/usr/sbin/mkfs.ext4": GONE})


@case
def mkfs_killed():
    """At its very end: the file system is there, and nobody has said that it is good.

    On a large disk with tags.
    """
    script = b'#!/bin/sh\n/usr/sbin/mke2fs -t ext4 "$@"\nkill -KILL $$\n'
    files = {"/usr/sbin/mkfs.ext4": (script, 0o755)}
    report = fault("mkfs-killed", "mkfs", files, AUTHENTICATED, image(70 * GIB))
    check("signal 9" in report.status["detail"], f"detail: {report.status['detail']}")


@case
def killed_before_format():
    where = image()
    fault("killed-before-format", "internal", shim("format", "kill"), where=where)
    check(where.is_zero(), "the disk was written to")


@case
def killed_before_activation():
    """With the mapping below it, on a device that has tags for a large disk."""
    fault("killed-before-activation", "internal", shim("formatted", "kill"), AUTHENTICATED, image(100 * GIB))


HOLDER = """
[Unit]
DefaultDependencies=no
[Service]
ExecStart=/bin/sh -c 'exec 3</dev/mapper/ccvm-scratch; >/run/held; sleep 3'
"""


HELD = Script(("held", "ls /run/held; while dmsetup ls | grep -q ccvm-scratch; do sleep 0.1; done; dmsetup table"))


@case
def killed_after_activation():
    """The mapping is there, somebody else has it open for a while, and nobody is left who would take it away."""
    do = "!systemctl --no-block start fault-holder; until [ -e /run/held ]; do sleep 0.1; done; kill -KILL $PPID"
    files = shim("activated", do) | {"/etc/systemd/system/fault-holder.service": HOLDER.encode()} | program("/usr/bin/sleep")
    report = FaultVM("killed-after-activation", "", image().device(), HELD, files).run()
    check_fault(report, "internal")
    check_equal(report.lines("held"), ["/run/held", "No devices found"], "what is left of the mapping")


@case(seconds=30, counted=True)
def setup_hangs():
    """With the lower of two mappings there, and deaf to SIGTERM."""
    fault("setup-hangs", "timeout", shim("activated", "hang"), AUTHENTICATED, counted=True)


@case
def fallback_fails_too():
    """Neither the disk nor the tmpfs: there is no pool, and the boot still goes on."""
    in_the_way = "[Service]\nExecStartPre=+/bin/sh -c '>/run/ccvm-scratch/pool'\n"
    report = FaultVM("fallback-fails-too", "ccvm.nix=no ccvm.device_timeout=2", files=drop_in(TMPFS, in_the_way)).run()
    check_outcome(report, "none", "device-timeout", [LUKS, TMPFS])
    check_equal([report.mount("/scratch"), report.mount("/run/ccvm-scratch/pool")], [None, None], "mounts")
    detail = report.status["detail"]
    check("No disk has the serial" in detail and "/run/ccvm-scratch/pool" in detail, f"not both failures: {detail}")
    check_equal(report.lines("keyring"), [], "keys left in keyrings")
    check_time(report)


CROWDED = Script(
    ("locks", "ls -ld /run/cryptsetup | cut -c1"),
    ("rng", "grep -cw rdrand /proc/cpuinfo; true"),
    ("runs", """journalctl -b -o cat --no-pager -u ccvm-scratch-luks.service | grep -c '^Starting'
journalctl -b -o cat --no-pager _PID=1 | grep -c '^Reload.*requested .*ccvm-scratch-luks.service'"""),
)


@case(seconds=20)
def reload_in_the_middle():
    """daemon-reload, and another start of the target, between format and activation: still one run.

    libcryptsetup's directory for locks cannot even be made. And neither RDRAND nor virtio-rng: the kernel makes entropy
    while somebody waits for it.
    """
    command = "!systemctl daemon-reload && systemctl start --no-block initrd-fs.target"
    service, text = next(iter(drop_in(LUKS, "[Service]\nExecStartPre=+/bin/sh -c '>/run/cryptsetup'\n").items()))
    files = shim("formatted", command)
    files[service] += text
    cpu = f"{CPU},rdrand=off,rdseed=off"
    report = FaultVM("reload-in-the-middle", "", image().device(), CROWDED, files, cpu=cpu).run()
    check_no_fault(report, 256 * MIB)
    check_equal(report.line("locks"), "-", "type of /run/cryptsetup")
    check_equal(report.line("rng"), "0", "CPUs with a random number generator")
    check_equal(report.lines("runs"), ["1", "1"], "runs of the service, and reloads that it asked for")


# Each value is refused, and its default used.
HOSTILE_CONFIG = (
    b"[Scratch]\nSerial=" + 4096 * b"s" + b"\nFileSystem=\xff\xfe\nHeader=%n%u%%\nFallbackSize=%h%\n"
    b"Mounts=/a\x1b[31m:1777 /../etc\nDiscard=" + 4096 * b"%t" + b"\n"
)


WARNINGS = Script(
    ("warnings", r"""journalctl -b -o cat --no-pager | sed -nE "s/.*Not taken: ([A-Za-z]+=).*: takes .*/\1/p" | sort -u"""),
)


@case(seconds=25, counted=True)
def hostile_options():
    """Options that are too long, not text, full of specifiers or of new lines, or that cannot be read.

    On a machine without PCI, whose clock counts instructions: on a busy host the kernel sometimes hangs there when it
    calibrates its own against it.
    """
    files = {
        "/etc/ccvm-scratch.conf": HOSTILE_CONFIG,
        "/usr/lib/ccvm-scratch.conf.d/unreadable.conf/file": b"",
    }
    # The directory counts as Integrity=hmac-sha256, too.
    append = 'ccvm.integrity=no ccvm.integrity=%i%n "ccvm.mounts=/a\n[Service]\nExecStart=/bin/x" ccvm.serial=\udcff\udcfe'
    devices = image().device(driver="virtio-blk-device")
    board = {"board": "microvm,pcie=off", "transport": "device", "counted": True, "stock": True}
    report = VM("hostile-options", f"{DISK} ccvm.nix=overlay {append}", devices, SCRIPT + WARNINGS, files, **board).run()
    check_equal(report.line("status-exit"), "3", "exit of status, with mount points that were refused")
    now = report.now
    refused = ["/a\\x1b[31m", "/../etc", "/a\\x0a[Service]\\x0aExecStart=/bin/x"]
    check_equal(now["missing"], refused, "missing mounts")
    # But for those all is well.
    report.sections["status-exit"], report.sections["status-now"] = ["0"], [json.dumps({**now, "missing": []})]
    check_no_fault(report, 256 * MIB)
    wanted = ["Discard=", "FallbackSize=", "FileSystem=", "Header=", "Integrity=", "Mounts=", "Serial="]
    check_equal(report.lines("warnings"), wanted, "options that were warned of")
