# SPDX-License-Identifier: LGPL-2.1-or-later
"""Faults of the disk: each function is a case, and its name is the test's."""

import hashlib
import json
import subprocess

from cases import GIB, HEADER, LUKS, MIB, check_encrypted, check_outcome, check_scratch, directory
from fault import FaultVM, check_fault, check_no_fault, check_one_pool, check_time, drop_in, program
from fault import reference, seconds, unit
from vm import Image, check, check_equal


def disk(size, content=b""):
    image = Image(directory() / "disk", size)
    if content:
        with open(image.path, "r+b") as f:
            f.write(content)
    return image


def digest(image):
    return hashlib.sha256(image.path.read_bytes()).hexdigest()


def refused(name, reason, image, devices, **options):
    """A boot with a disk that must not be used, and of which not a byte may change."""
    before = digest(image)
    others = options.pop("others", ())
    check_fault(FaultVM(name, devices=devices, **options).run(), reason, others)
    check_equal(digest(image), before, "the bytes of the refused disk")


def marker_without_disk():
    """The host says that there is a disk, and there is none."""
    check_fault(FaultVM("marker-without-disk").run(), "device-timeout")


def wrong_serial():
    image = disk(64 * MIB, b"somebody else's")
    refused("wrong-serial", "device-timeout", image, image.device(serial="ccvm-scratch-2"))


def two_disks():
    """Both have the serial: which one is meant nobody can tell, so neither is touched."""
    first, second = disk(64 * MIB, b"first"), disk(64 * MIB, b"second")
    before = digest(second)
    refused("two-disks", "device-ambiguous", first, first.device(0) + second.device(1))
    check_equal(digest(second), before, "the bytes of the other disk")


def read_only():
    image = disk(64 * MIB, b"to be kept")
    refused("read-only", "device-read-only", image, image.device(read_only=True))


def disk_of_1_mib():
    image = disk(MIB, b"to be kept")
    refused("disk-of-1-mib", "device-too-small", image, image.device())


def disk_of_0_bytes():
    image = disk(0)
    refused("disk-of-0-bytes", "device-too-small", image, image.device())


def odd_size():
    """Not a multiple of 4096: used to the last sector, if with smaller ones."""
    size = 256 * MIB + 1536
    image = disk(size)
    report = FaultVM("odd-size", devices=image.device()).run()
    check_outcome(report, "encrypted")
    table = report.line("table").split()
    check_equal(table[:4], ["ccvm-scratch:", "0", str(size // 512 - HEADER), "crypt"], "extent of the mapping")
    check("sector_size" not in report.line("table"), f"not sectors of 512 bytes: {table}")
    status = report.status
    check_equal([status["sectorSize"], status["sizeBytes"]], [512, size - HEADER * 512], "status")
    check_scratch(report, "ext4")
    check_one_pool(report, "/dev/mapper/ccvm-scratch")
    check_time(report)


def in_use():
    """Somebody else has mounted the disk in the initrd, and goes on using it."""
    image = disk(64 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", image.path], check=True)
    mount = "/usr/bin/mount -t ext4 -o ro,X-mount.mkdir /dev/disk/by-id/virtio-ccvm-scratch /run/elsewhere"
    files = drop_in(LUKS, f"[Service]\nExecStartPre=+{mount}\n")
    refused("in-use", "device-in-use", image, image.device(), files=files, others=["/run/elsewhere"])


def in_use_as_swap():
    """The same, as swap."""
    image = disk(64 * MIB)
    subprocess.run(["mkswap", "-q", image.path], check=True)
    swapon = "/usr/sbin/swapon /dev/disk/by-id/virtio-ccvm-scratch"
    files = drop_in(LUKS, f"[Service]\nExecStartPre=+{swapon}\n") | program("/usr/sbin/swapon")
    refused("in-use-as-swap", "device-in-use", image, image.device(), files=files, others=["vdb"])


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


def backend(image, number=0):
    """The disk's image, ready to be plugged in."""
    return image.device(number)[:2]


def disk_3_s_late():
    """Hot-plugged while the boot waits for it: it is used."""
    image = disk(GIB)
    files = program("/usr/bin/sleep") | unit("fault-plug.service", PLUG_UNIT, "sysinit.target")
    report = FaultVM("disk-3-s-late", devices=backend(image), files=files, meanwhile=plug).run()
    check_no_fault(report, GIB)
    check(seconds(report) > reference() + 1, "the boot did not wait for the disk")


def disk_15_s_late():
    """After the fallback: left alone, by everybody."""
    image = disk(64 * MIB, b"to be kept")
    before = digest(image)
    script = r"""
section plug; until [ $(cut -d. -f1 /proc/uptime) -ge 18 ]; do sleep 0.1; done
echo plug >/dev/virtio-ports/ccvm.host
udevadm wait --timeout=30 /dev/disk/by-id/virtio-ccvm-scratch && echo there
systemctl start local-fs.target; sleep 2
section late-status; ccvm-scratch status | head -n 2
section late-mappings; dmsetup ls
section late-mounts; findmnt -nro SOURCE /scratch; findmnt -nro TARGET /dev/disk/by-id/virtio-ccvm-scratch
section late-failed; systemctl list-units --failed --plain --no-legend | cut -d' ' -f1
"""
    report = FaultVM("disk-15-s-late", devices=backend(image), script=script, meanwhile=plug).run()
    check_fault(report, "device-timeout")
    check_equal(report.line("plug"), "there", "the disk that came late")
    status = [line.split()[1] for line in report.lines("late-status")]
    check_equal(status, ["tmpfs", "device-timeout"], "status then")
    check_equal(report.lines("late-mappings"), ["No devices found"], "mappings then")
    check_equal(report.lines("late-mounts"), ["ccvm-scratch[/scratch]"], "mounts then")
    check_equal(report.lines("late-failed"), [LUKS], "failed units then")
    check_equal(digest(image), before, "the bytes of the disk")


def failing_device(image, **rules):
    """A disk with I/O errors, by QEMU's blkdebug."""
    node = {
        "driver": "raw",
        "node-name": "scratch0",
        "file": {
            "driver": "blkdebug",
            "image": {"driver": "file", "filename": str(image.path), "locking": "off"},
            **{name.replace("_", "-"): value for name, value in rules.items()},
        },
    }
    return ["-blockdev", json.dumps(node), "-device", "virtio-blk-pci,drive=scratch0,serial=ccvm-scratch"]


def write_error_at_once():
    """Nothing can be written to the disk."""
    image = disk(256 * MIB)
    devices = failing_device(image, inject_error=[{"event": "none", "iotype": "write", "errno": 5}])
    check_fault(FaultVM("write-error-at-once", devices=devices).run(), "format")
    check(image.is_zero(), "something was written all the same")


def write_error_in_format():
    """The first header can be written, and the second cannot."""
    image = disk(256 * MIB)
    before_second = 3
    states = [{"event": "write_aio", "state": n, "new_state": n + 1} for n in range(1, before_second)]
    fail = [{"event": "write_aio", "state": before_second, "iotype": "write", "errno": 5}]
    devices = failing_device(image, set_state=states, inject_error=fail)
    check_fault(FaultVM("write-error-in-format", devices=devices).run(), "format")
    with open(image.path, "rb") as f:
        headers = f.read(32 * 1024)
    magic = [headers[:6], headers[16384:16390]]
    check_equal(magic, [b"LUKS\xba\xbe", bytes(6)], "the two headers' first bytes")


def write_error_in_mkfs():
    """The header is there, and where the file system begins there is a bad sector."""
    image = disk(256 * MIB)
    bad = [{"event": "none", "iotype": "write", "sector": HEADER, "errno": 5}]
    devices = failing_device(image, inject_error=bad)
    check_fault(FaultVM("write-error-in-mkfs", devices=devices).run(), "mkfs")


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

    script = "section waiting; cat /proc/[0-9]*/comm 2>/dev/null | grep -c ccvm-scratch-se\n"
    report = FaultVM("stalled-disk", "", devices, script, meanwhile=pull_the_plug).start().wait()
    check_fault(report, "timeout")
    check_equal(report.line("waiting"), "1", "processes that wait for the disk still")


WIPE_STALLED = r"""
section stalled; ask 1
dd if=/dev/urandom of=/scratch/big bs=1M count=16 status=none; sync -f /scratch/big & writer=$!
until awk '$1 + $2 > 0 {ok = 1} END {exit !ok}' /sys/block/vdb/inflight; do sleep 0.1; done
began=$(cut -d. -f1 /proc/uptime)
ccvm-scratch wipe --yes; echo "exit $?"; echo "seconds $(($(cut -d. -f1 /proc/uptime) - began))"
ccvm-scratch status | sed -n "s/^ *State: /state /p"; dmsetup table | cut -d' ' -f4
section again; ask 0; wait $writer
ccvm-scratch wipe --yes; echo "exit $?"; ccvm-scratch status | sed -n "s/^ *State: /state /p"; dmsetup table | cut -d' ' -f4
"""


def wipe_stalled():
    """The disk takes what is written, and never says that it has: the wipe waits in time, and can be repeated."""

    def stall(vm):
        vm.throttle("slow")
        vm.throttle("slow")

    devices = disk(256 * MIB).device()
    devices[-1] += ",id=slow"
    report = FaultVM("wipe-stalled", "", devices, WIPE_STALLED, meanwhile=stall).run()
    stalled = report.lines("stalled")
    check("Waiting for the disk" in stalled[0], f"the first wipe says: {stalled[0]}")
    check("try again, or power off" in stalled[1], f"the first wipe says: {stalled[1]}")
    check_equal(stalled[2], "exit 1", "the first wipe")
    check(8 <= int(stalled[3].split()[1]) <= 14, f"the first wipe took {stalled[3]}")
    check_equal(stalled[4:], ["state encrypted", "crypt"], "after the first wipe")
    check_equal(report.lines("again"), ["exit 0", "state none (degraded: there is no pool)", "error"], "the second wipe")


# What the guest still has to do when its disk is broken or gone. Its timer looks at the health once a minute; here more
# often, and what it has to say it says once.
ALIVE = r"""
section alive; systemctl is-system-running; systemctl start systemd-tmpfiles-clean.service
ls -d /nix/.ro-store/*-tools-1.0 | wc -l
section health-told
mkdir -p /run/systemd/system/ccvm-scratch-health.timer.d
printf '[Timer]\nOnUnitInactiveSec=1s\nOnActiveSec=1s\nAccuracySec=1s\n' >/run/systemd/system/ccvm-scratch-health.timer.d/50-soon.conf
systemctl daemon-reload; systemctl is-active ccvm-scratch-health.timer; systemctl restart ccvm-scratch-health.timer
told() { journalctl -b -o json --no-pager MESSAGE_ID=5e0f6c1d9b7a4d35a8c2e4f1709b3d62; }
for i in $(seq 300); do [ -z "$(told)" ] || break; sleep 0.1; done; sleep 3; told | grep -o '"CCVM_HEALTH":"[^"]*"'
section health-state; ccvm-scratch status; echo "status $?"; ccvm-scratch status --json=short | grep -o '"health":"[^"]*"'
ccvm-scratch is-encrypted /scratch; echo "encrypted $?"
"""

BREAK = r"""
section before; head -c 16M /dev/urandom >/scratch/before; sync; ccvm-scratch is-encrypted /scratch && systemctl start ccvm-scratch-health
echo 3 >/proc/sys/vm/drop_caches; echo written
ask {0}; echo $answer
"""

BROKEN = r"""
section broken-read; cat /scratch/before >/dev/null && echo read
section broken-write; dd if=/dev/zero of=/scratch/after bs=1M count=16 conv=fsync && echo written
"""


def check_health(report, words):
    """Turned bad: told once by the timer, and by each who asks."""
    told = [word for word in report.lines("health-told") if "CCVM_HEALTH" in word]
    check_equal(report.lines("health-told")[0], "active", "the timer")
    check(len(told) == len(set(told)) and told, f"told of the health: {told}")
    check(told[-1] in {f'"CCVM_HEALTH":"{word}"' for word in words}, f"told of the health: {told}")
    state = "\n".join(report.lines("health-state"))
    for wanted in ("State: encrypted", "(degraded", "status 3", "not healthy", "encrypted 3"):
        check(wanted in state, f"no '{wanted}' in: {state}")
    check(any(f'"health":"{word}"' in state for word in words), f"not one of {words}: {state}")


def check_broken(report, image_size):
    """A good boot, then I/O errors for those who use the disk, and for nobody else."""
    check_no_fault(report, image_size)
    check_equal(report.lines("before"), ["written", "go"], "before the fault")
    for section in ("broken-read", "broken-write"):
        text = "\n".join(report.lines(section))
        failed = "Input/output error" in text or "Read-only file system" in text
        check(failed, f"{section}: no error: {text!r}")
    check_equal(report.lines("alive"), ["running", "1"], "the guest afterwards")


def failing_later(name, word, errors, script, append=""):
    """The host's disk goes bad under the running guest. Returns what that reports."""
    image = disk(GIB)
    devices = [
        "-blockdev", f"driver=file,node-name=file0,filename={image.path},locking=off",
        "-blockdev", "driver=raw,node-name=scratch0,file=file0",
        "-device", "virtio-blk-pci,drive=scratch0,serial=ccvm-scratch,werror=report,rerror=report",
    ]  # fmt: skip

    def go_bad(vm):
        vm.hear(word)
        bad = {"driver": "blkdebug", "node-name": "bad0", "image": "file0", "inject-error": errors}
        vm.qmp.execute("blockdev-add", **bad)
        through_it = {"driver": "raw", "node-name": "scratch0", "file": "bad0"}
        vm.qmp.execute("blockdev-reopen", options=[through_it])
        vm.host.write("go")

    script = BREAK.replace("{0}", word) + script + ALIVE
    return FaultVM(name, append, devices, script, meanwhile=go_bad).run()


def io_errors_after_boot():
    """The host's disk goes bad under the running guest."""
    report = failing_later("io-errors-after-boot", "break", [{"event": "none", "errno": 5}], BROKEN)
    check_broken(report, GIB)
    check_health(report, ["read-only", "errors"])


FULL = r"""
section lost; for i in $(seq 100); do head -c 1M /dev/urandom >/scratch/lost$i || echo heard; done
# What the kernel writes by itself, half a minute later in other guests.
echo 100 >/proc/sys/vm/dirty_expire_centisecs; echo 100 >/proc/sys/vm/dirty_writeback_centisecs
for i in $(seq 200); do ccvm-scratch status --json=short | grep -q '"health":"ok"' || break; sleep 0.1; done
"""


NO_ROOM = [{"event": "none", "iotype": "write", "errno": 28}]


def host_disk_full():
    """No room on the host, and nobody calls fsync: no program hears of it, and the status tells."""
    report = failing_later("host-disk-full", "fill", NO_ROOM, FULL)
    check_no_fault(report, GIB)
    check_equal(report.lines("lost"), [], "what the writers heard")
    check_equal(report.lines("alive"), ["running", "1"], "the guest afterwards")
    # Since Linux 7 ext4 gives up at once.
    check_health(report, ["errors", "read-only"])


def host_disk_full_btrfs():
    report = failing_later("host-disk-full-btrfs", "fill", NO_ROOM, FULL, "ccvm.fstype=btrfs")
    check_encrypted(report, GIB, "btrfs")
    check_health(report, ["errors", "read-only", "gone"])


def host_disk_full_xfs():
    """It shuts down with the first write to its log that fails."""
    report = failing_later("host-disk-full-xfs", "fill", NO_ROOM, FULL, "ccvm.fstype=xfs")
    check_encrypted(report, GIB, "xfs")
    check_health(report, ["gone"])


def unplugged():
    """device_del while the pool is mounted: the guest stays up."""
    image = disk(GIB)
    devices = image.device()
    devices[-1] += ",id=disk0,bus=slot1"

    def unplug(vm):
        vm.hear("unplug")
        vm.qmp.execute("device_del", id="disk0")
        vm.host.write("go")

    gone = r"""
section gone; for i in $(seq 300); do [ -e /sys/block/vdb ] || break; sleep 0.1; done; ls -d /sys/block/vdb
"""
    script = BREAK.replace("{0}", "unplug") + gone + BROKEN + ALIVE
    report = FaultVM("unplugged", devices=devices, script=script, meanwhile=unplug).run()
    check_broken(report, GIB)
    check("No such file" in report.line("gone"), "the disk is still there")
    check_health(report, ["gone"])
