# SPDX-License-Identifier: LGPL-2.1-or-later
"""Faults of the disk: it is not there, not to be used, goes bad, or comes late."""

import hashlib
import json
import subprocess

from cases import DISK, GIB, HEADER, LUKS, MIB, check_encrypted, check_outcome, check_scratch, directory
from fault import SLOT1, FaultVM, check_fault, check_no_fault, program, shim, unit, waited
from registry import case
from script import Script
from vm import VM, Image, check, check_equal


def disk(size, content=b""):
    image = Image(directory() / "disk", size)
    if content:
        with open(image.path, "r+b") as f:
            f.write(content)
    return image


def digest(image):
    return hashlib.sha256(image.path.read_bytes()).hexdigest()


@case(seconds=24, counted=True, oldstable=True)
def marker_without_disk():
    """The host says that there is a disk, and the one that there is has another serial: not a byte of it changes."""
    image = disk(64 * MIB, b"somebody else's")
    before = digest(image)
    check_fault(FaultVM("marker-without-disk", devices=image.device(serial="ccvm-scratch-2"), counted=True).run(), "device-timeout")
    check_equal(digest(image), before, "the bytes of the disk")


# Three seconds after the disks that are there from the start.
PLUG_UNIT = r"""[Unit]
Description=Asks the host for the disk, late
DefaultDependencies=no
After=dev-disk-by\x2dpartlabel-ccvm\x2droot.device
Wants=dev-disk-by\x2dpartlabel-ccvm\x2droot.device

[Service]
Type=exec
ExecStart=/bin/sh -c 'sleep 3; echo plug >/dev/virtio-ports/ccvm.host'
"""


def plug(vm):
    vm.hear("plug")
    vm.plug()


USED = 64 * MIB

SLOW = Script((None, "ask set-up; systemctl start ccvm-scratch-health.service; ask looked-after"))


@case(seconds=18)
def disk_3_s_late():
    """Hot-plugged while the boot waits for it: it is used. And it is slow.

    To discard all of it takes 12 s, more than the set-up has. What an earlier boot has left is given back later.
    """
    image = disk(GIB)
    with open(image.path, "r+b") as f:
        f.seek(GIB // 2)
        f.write(b"\xa5" * USED)
    allocated = {}

    def plug_and_look(vm):
        plug(vm)
        for when in "set-up", "looked-after":
            vm.hear(when)
            allocated[when] = image.allocated()
            vm.host.write("go")

    files = program("/usr/bin/sleep") | unit("fault-plug.service", PLUG_UNIT, "sysinit.target") | shim("discard", "slow")
    report = FaultVM("disk-3-s-late", devices=image.backend(), script=SLOW, files=files, meanwhile=plug_and_look).run()
    check_no_fault(report, GIB)
    check(waited(report) > 1, "the boot did not wait for the disk")
    check(allocated["set-up"] >= USED, f"all of the disk was discarded before the pool was there: {allocated}")
    check(allocated["looked-after"] < USED, f"what an earlier boot left stays: {allocated}")


LATE = Script(
    ("plug", """echo plug >/dev/virtio-ports/ccvm.host
udevadm wait --timeout=30 /dev/disk/by-id/virtio-ccvm-scratch && echo there
systemctl start local-fs.target; sleep 2"""),
    ("late-status", "ccvm-scratch status | head -n 2"),
    ("late-mappings", "dmsetup ls"),
    ("late-mounts", "findmnt -nro SOURCE /scratch; findmnt -nro TARGET /dev/disk/by-id/virtio-ccvm-scratch"),
    ("late-failed", "systemctl list-units --failed --plain --no-legend | cut -d' ' -f1"),
)


@case(seconds=20)
def disk_too_late():
    """After the fallback: left alone, by everybody."""
    image = disk(64 * MIB, b"to be kept")
    before = digest(image)
    append = "ccvm.device_timeout=3"
    report = FaultVM("disk-too-late", append, image.backend(), LATE, meanwhile=plug).run()
    check_fault(report, "device-timeout")
    check_equal(report.line("plug"), "there", "the disk that came late")
    status = [line.split()[1] for line in report.lines("late-status")]
    check_equal(status, ["tmpfs", "device-timeout"], "status then")
    check_equal(report.lines("late-mappings"), ["No devices found"], "mappings then")
    check_equal(report.lines("late-mounts"), ["ccvm-scratch[/scratch]"], "mounts then")
    check_equal(report.lines("late-failed"), [LUKS], "failed units then")
    check_equal(digest(image), before, "the bytes of the disk")


def failing_backend(image, number=0, **rules):
    """An image with I/O errors, by QEMU's blkdebug."""
    node = {
        "driver": "raw",
        "node-name": f"scratch{number}",
        "file": {
            "driver": "blkdebug",
            "image": {"driver": "file", "filename": str(image.path), "locking": "off"},
            **{name.replace("_", "-"): value for name, value in rules.items()},
        },
    }
    return ["-blockdev", json.dumps(node)]


DEVICE = ["-device", "virtio-blk-pci,drive=scratch0,serial=ccvm-scratch"]


@case
def write_error_in_mkfs():
    """The header is there, and where the file system begins there is a bad sector."""
    bad = [{"event": "none", "iotype": "write", "sector": HEADER, "errno": 5}]
    backend = failing_backend(disk(256 * MIB), inject_error=bad)
    check_fault(FaultVM("write-error-in-mkfs", devices=backend + DEVICE).run(), "mkfs")


# From the fallback, renew looks for a disk once more, and finds another one each time. SCSI's come and go at once.
REFUSALS = Script(
    (None, r"""
# What the host gives instead, until there are as many.
exchange() {
    ask "$1"
    until [ "$(cat /sys/block/*/serial /sys/block/*/device/vpd_pg80 2>/dev/null | grep -ao ccvm-scratch | wc -l)" -eq "$2" ]; do sleep 0.1; done
    udevadm settle
}
try() {
    section "$1"; ccvm-scratch renew --yes >/dev/null 2>&1; echo $?
    ccvm-scratch status --json=short; findmnt -nro SOURCE /run/ccvm-scratch/pool; dmsetup ls
    systemctl reset-failed
}
exchange read-only 1; try read-only
exchange two-disks 2; try two-disks
exchange at-once 1; try at-once
exchange in-format 1; try in-format
exchange mounted 1; disk=/dev/$(basename "$(dirname "$(dirname "$(grep -la ccvm-scratch /sys/block/*/device/vpd_pg80)")")")
mkdir /run/elsewhere; mount -o ro "$disk" /run/elsewhere && try mounted; umount /run/elsewhere
mkswap "$disk" >/dev/null 2>&1; swapon "$disk"; sum=$(sha256sum <"$disk"); try swap"""),
    ("swap-bytes", '[ "$(sha256sum <"$disk")" = "$sum" ] && echo same; swapoff "$disk"'),
    (None, "exchange of-0-bytes 1; try of-0-bytes"),
)

# What renew says of each.
REASONS = {
    "read-only": "device-read-only", "two-disks": "device-ambiguous", "at-once": "format", "in-format": "format",
    "mounted": "device-in-use", "swap": "device-in-use", "of-0-bytes": "device-too-small",
}  # fmt: skip


def refused_disks():
    """The images, by the word with which the guest asks for them."""
    bad_at_once = {"inject_error": [{"event": "none", "iotype": "write", "errno": 5}]}
    # The first header can be written, and the second cannot.
    second = 3
    bad_second = {
        "set_state": [{"event": "write_aio", "state": n, "new_state": n + 1} for n in range(1, second)],
        "inject_error": [{"event": "write_aio", "state": second, "iotype": "write", "errno": 5}],
    }
    mounted = disk(64 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", mounted.path], check=True)
    return [
        # the word, what QEMU's images get, the images
        ("boot", {}, [disk(MIB, b"to be kept")]),
        ("read-only", {"read_only": True}, [disk(64 * MIB, b"to be kept")]),
        ("two-disks", {}, [disk(64 * MIB, b"first"), disk(64 * MIB, b"second")]),
        ("at-once", bad_at_once, [disk(256 * MIB)]),
        ("in-format", bad_second, [disk(256 * MIB)]),
        ("mounted", {}, [mounted]),
        ("of-0-bytes", {}, [disk(0)]),
    ]


@case(seconds=30)
def disks_refused():
    """Too small at the boot; then all others that are not to be used. Nothing of them changes but by a write that fails."""
    steps = refused_disks()
    numbers, backends = {}, []
    for word, how, images in steps:
        for image in images:
            number = len(backends)
            numbers.setdefault(word, []).append(number)
            backends.append(failing_backend(image, number, **how) if "inject_error" in how else image.backend(number, **how))
    kept = {image: digest(image) for word, _, images in steps for image in images if word not in ("mounted", "in-format")}

    def exchange(vm):
        """Takes the disks of the last step away, and gives the next ones."""
        there = numbers["boot"]
        for word, _, _ in steps[1:]:
            vm.hear(word)
            for number in there:
                vm.qmp.execute("device_del", id=f"disk{number}")
            there = numbers[word]
            for number in there:
                # A SCSI disk without a sector is one that is not ready, for minutes.
                device = {"driver": "scsi-hd", "bus": "scsi.0"} if word != "of-0-bytes" else {"driver": "virtio-blk-pci", "bus": "slot1"}
                vm.qmp.execute("device_add", **device, id=f"disk{number}", drive=f"scratch{number}", serial="ccvm-scratch")
            vm.host.write("go")

    first = ["-device", "scsi-hd,bus=scsi.0,drive=scratch0,serial=ccvm-scratch,id=disk0"]
    devices = [*SLOT1, "-device", "virtio-scsi-pci,id=scsi", *(word for backend in backends for word in backend), *first]
    report = VM("disks-refused", f"{DISK} ccvm.nix=no", devices, REFUSALS, meanwhile=exchange).run()
    check_outcome(report, "tmpfs", "device-too-small", [LUKS])
    check_scratch(report, "tmpfs", "ccvm-scratch")
    for name, reason in REASONS.items():
        code, status, *rest = report.lines(name)
        status = json.loads(status)
        check_equal([code, status["state"], status["reason"]], ["1", "tmpfs", reason], f"{name}: renew, state and reason")
        check_equal(rest, ["ccvm-scratch", "No devices found"], f"{name}: the pool, and mappings")
    check_equal(report.line("swap-bytes"), "same", "the bytes of the disk that is used as swap")
    check_equal({image: digest(image) for image in kept}, kept, "the bytes of the disks")
    [in_format] = [images[0] for word, _, images in steps if word == "in-format"]
    headers = in_format.path.read_bytes()[: 32 * 1024]
    check_equal([headers[:6], headers[16384:16390]], [b"LUKS\xba\xbe", bytes(6)], "the two headers' first bytes")


WAITING = Script(("waiting", "cat /proc/[0-9]*/comm 2>/dev/null | grep -c ccvm-scratch-se"))


@case(seconds=30, counted=True)
def stalled_disk():
    """The first write never ends, and a process that waits for it is deaf to SIGKILL too."""
    image = disk(256 * MIB)
    node = {
        "driver": "raw",
        "node-name": "scratch0",
        "file": {
            "driver": "throttle",
            "throttle-group": "stall",
            "file": {"driver": "file", "filename": str(image.path), "locking": "off"},
        },
    }
    devices = [
        "-object", json.dumps({"qom-type": "throttle-group", "id": "stall", "limits": {"bps-write": 1}}),
        "-blockdev", json.dumps(node),
        "-device", "virtio-blk-pci,drive=scratch0,serial=ccvm-scratch",
    ]  # fmt: skip

    # Even to power off the kernel waits for that write, and QEMU to end.
    def pull_the_plug(vm):
        vm.wait_for("ccvm.test: success 0")
        vm.process.kill()

    report = FaultVM("stalled-disk", "", devices, WAITING, meanwhile=pull_the_plug, counted=True).start().wait()
    check_fault(report, "timeout")
    check_equal(report.line("waiting"), "1", "processes that wait for the disk still")


# What the guest still has to do when its disk is broken or gone. Its timer looks at the health once a minute; here more
# often, and what it has to say it says once.
HEALTH = r"""
mkdir -p /run/systemd/system/ccvm-scratch-health.timer.d
printf '[Timer]\nOnUnitInactiveSec=1s\nOnActiveSec=1s\nAccuracySec=1s\n' >/run/systemd/system/ccvm-scratch-health.timer.d/50-soon.conf
systemctl daemon-reload
told() { journalctl -b -o json --no-pager MESSAGE_ID=5e0f6c1d9b7a4d35a8c2e4f1709b3d62 --after-cursor="$cursor" | grep -o '"CCVM_HEALTH":"[^"]*"'; }
# $1: what is wrong, by which the host breaks the disk.
good() {
    section "$1"; head -c 4M /dev/urandom >/scratch/before; sync
    # So many starts in so short a time are the test's own.
    systemctl reset-failed ccvm-scratch-health.service 2>/dev/null
    ccvm-scratch is-encrypted /scratch && systemctl start ccvm-scratch-health && echo written
    cursor=$(journalctl -b -n 1 -o json --output-fields=MESSAGE | sed 's/.*"__CURSOR":"\([^"]*\)".*/\1/')
    echo 3 >/proc/sys/vm/drop_caches; ask "$1"
}
bad() {
    section "$1-alive"; systemctl is-system-running; systemctl start systemd-tmpfiles-clean.service
    ls -d /nix/.ro-store/*-tools-1.0 | wc -l
    systemctl reset-failed ccvm-scratch-health.service 2>/dev/null
    section "$1-told"; systemctl is-active ccvm-scratch-health.timer; systemctl restart ccvm-scratch-health.timer
    for i in $(seq 300); do [ -z "$(told)" ] || break; sleep 0.1; done; sleep 3; told
    section "$1-state"; ccvm-scratch status; echo "status $?"; ccvm-scratch status --json=short | grep -o '"health":"[^"]*"'
    ccvm-scratch is-encrypted /scratch; echo "encrypted $?"
}
use() {
    section "$1-read"; cat /scratch/before >/dev/null && echo read
    section "$1-write"; dd if=/dev/zero of=/scratch/after bs=1M count=4 conv=fsync && echo written
}
fill() {
    section "$1-lost"; for i in $(seq 20); do head -c 1M /dev/urandom >/scratch/lost$i || echo heard; done
    # What the kernel writes by itself, half a minute later in other guests.
    echo 100 >/proc/sys/vm/dirty_expire_centisecs; echo 100 >/proc/sys/vm/dirty_writeback_centisecs
    for i in $(seq 200); do ccvm-scratch status --json=short | grep -q '"health":"ok"' || break; sleep 0.1; done
}
# With the disk as it was.
again() { ask good; section "$1-renew"; ccvm-scratch renew --force </dev/null >/dev/null 2>&1; echo $?; }
"""

FULL = Script((None, HEALTH + "good full; fill full; bad full"))

# Three faults of one guest's disk, each of a new pool.
BROKEN = FULL + Script((None, r"""again full
good errors; use errors; bad errors; again errors
good unplugged; for i in $(seq 300); do [ -e /sys/block/vdb ] || break; sleep 0.1; done
use unplugged; bad unplugged"""),
    ("gone", "ls -d /sys/block/vdb || true"),
)  # fmt: skip


def check_health(report, name, words):
    """Turned bad: told once by the timer, and by each who asks; and nobody else has to do with it."""
    check_equal(report.lines(name)[0], "written", f"{name}: before the fault")
    check_equal(report.lines(f"{name}-alive"), ["running", "1"], f"{name}: the guest afterwards")
    timer, *told = report.lines(f"{name}-told")
    check_equal(timer, "active", f"{name}: the timer")
    check(len(told) == len(set(told)) and told, f"{name}: told of the health: {told}")
    check(told[-1] in {f'"CCVM_HEALTH":"{word}"' for word in words}, f"{name}: told of the health: {told}")
    state = "\n".join(report.lines(f"{name}-state"))
    for wanted in ("State: encrypted", "(degraded", "status 3", "not healthy", "encrypted 3"):
        check(wanted in state, f"{name}: no '{wanted}' in: {state}")
    check(any(f'"health":"{word}"' in state for word in words), f"{name}: not one of {words}: {state}")


def check_errors(report, name):
    """I/O errors for those who use the disk."""
    for section in (f"{name}-read", f"{name}-write"):
        text = "\n".join(report.lines(section))
        failed = "Input/output error" in text or "Read-only file system" in text
        check(failed, f"{section}: no error: {text!r}")


def go_bad(vm, errors):
    """Through a node with the errors from now on; or without any."""
    node = "file0"
    if errors:
        vm.qmp.execute("blockdev-add", driver="blkdebug", **{"node-name": "bad0", "image": "file0", "inject-error": errors})
        node = "bad0"
    vm.qmp.execute("blockdev-reopen", options=[{"driver": "raw", "node-name": "scratch0", "file": node}])
    if not errors:
        vm.qmp.execute("blockdev-del", **{"node-name": "bad0"})
    vm.host.write("go")


def failing_later(name, script, faults, append=""):
    """The host's disk goes bad under the running guest, and is good again when that asks for it."""
    image = disk(GIB)
    devices = [
        *SLOT1,
        "-blockdev", f"driver=file,node-name=file0,filename={image.path},locking=off",
        "-blockdev", "driver=raw,node-name=scratch0,file=file0",
        "-device", "virtio-blk-pci,drive=scratch0,serial=ccvm-scratch,werror=report,rerror=report,id=disk0,bus=slot1",
    ]  # fmt: skip

    def host(vm):
        for number, (word, errors) in enumerate(faults.items()):
            if number:
                vm.hear("good")
                go_bad(vm, None)
            vm.hear(word)
            if errors:
                go_bad(vm, errors)
            else:
                vm.qmp.execute("device_del", id="disk0")
                vm.host.write("go")

    return VM(name, f"{DISK} {append}", devices, script, meanwhile=host).run()


NO_ROOM = [{"event": "none", "iotype": "write", "errno": 28}]


@case(seconds=45)
def disk_goes_bad():
    """No room on the host; then I/O errors; then the disk is pulled out. In all of it the guest stays up.

    Where there is no room and nobody calls fsync, no program hears of it, and the status tells.
    """
    # Not for a flush, which QEMU asks for itself before the disk is good again.
    errors = [{"event": "none", "iotype": kind, "errno": 5} for kind in ("read", "write")]
    faults = {"full": NO_ROOM, "errors": errors, "unplugged": None}
    report = failing_later("disk-goes-bad", BROKEN, faults)
    check_encrypted(report, GIB)
    check_scratch(report, "ext4")
    check_equal(report.lines("full-lost"), [], "what the writers heard")
    # Since Linux 7 ext4 gives up at once.
    check_health(report, "full", ["errors", "read-only"])
    check_equal(report.lines("full-renew") + report.lines("errors-renew"), ["0", "0"], "renewals")
    check_errors(report, "errors")
    check_health(report, "errors", ["read-only", "errors"])
    check_errors(report, "unplugged")
    check_health(report, "unplugged", ["gone"])
    check("No such file" in report.line("gone"), "the disk is still there")


@case(seconds=35)
def host_disk_full_btrfs():
    report = failing_later("host-disk-full-btrfs", FULL, {"full": NO_ROOM}, "ccvm.nix=overlay ccvm.fstype=btrfs")
    check_encrypted(report, GIB, "btrfs")
    check_health(report, "full", ["errors", "read-only", "gone"])


@case(seconds=35)
def host_disk_full_xfs():
    """It shuts down with the first write to its log that fails."""
    report = failing_later("host-disk-full-xfs", FULL, {"full": NO_ROOM}, "ccvm.nix=overlay ccvm.fstype=xfs")
    check_encrypted(report, GIB, "xfs")
    check_health(report, "full", ["gone"])
