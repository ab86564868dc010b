# SPDX-License-Identifier: LGPL-2.1-or-later
"""Faults of the disk: each function is a case, and its name is the test's."""

import hashlib
import json
import pathlib
import subprocess

from cases import GIB, LUKS, MIB, check_outcome, check_scratch, directory
from fault import FaultVM, check_fault, check_no_fault, check_one_pool, check_time, drop_in
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
    check_equal(table[:4], ["ccvm-scratch:", "0", str(size // 512 - 2048), "crypt"], "extent of the mapping")
    check(not [word for word in table if word.startswith("sector_size:")], f"not sectors of 512 bytes: {table}")
    status = report.status
    check_equal([status["sectorSize"], status["sizeBytes"]], [512, size - MIB], "status")
    check_scratch(report, "ext4")
    check_one_pool(report, "/dev/mapper/ccvm-scratch")
    check_time(report)


def in_use():
    """Somebody else has mounted the disk in the initrd, and goes on using it."""
    image = disk(64 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", image.path], check=True)
    before_us = (
        "[Service]\n"
        "ExecStartPre=+/usr/bin/mount -t ext4 -o ro,X-mount.mkdir /dev/disk/by-id/virtio-ccvm-scratch /run/elsewhere\n"
    )
    refused("in-use", "device-in-use", image, image.device(), files=drop_in(LUKS, before_us), others=["/run/elsewhere"])


PLUG_UNIT = """[Unit]
Description=Asks the host for the disk, late
DefaultDependencies=no

[Service]
Type=exec
ExecStart=/bin/sh -c 'sleep 3; echo plug >/dev/virtio-ports/ccvm.fault'
"""


def plug(vm):
    vm.hear("plug")
    vm.qmp.execute("device_add", driver="virtio-blk-pci", drive="scratch0", serial="ccvm-scratch", bus="slot1")


def backend(image):
    """The disk's image, ready to be plugged in."""
    return image.device()[:2]


def disk_3_s_late():
    """Hot-plugged while the boot waits for it: it is used."""
    image = disk(GIB)
    files = {
        "/usr/bin/sleep": (pathlib.Path("/usr/bin/sleep").read_bytes(), 0o755),
        "/etc/systemd/system/fault-plug.service": PLUG_UNIT.encode(),
        "/etc/systemd/system/sysinit.target.wants/fault-plug.service": "../fault-plug.service",
    }
    report = FaultVM("disk-3-s-late", devices=backend(image), files=files, meanwhile=plug).run()
    check_no_fault(report, GIB)


def disk_15_s_late():
    """After the fallback: left alone, by everybody."""
    image = disk(64 * MIB, b"to be kept")
    before = digest(image)
    script = r"""
section plug; until [ $(cut -d. -f1 /proc/uptime) -ge 18 ]; do sleep 0.1; done
echo plug >/dev/virtio-ports/ccvm.fault
udevadm wait --timeout=30 /dev/disk/by-id/virtio-ccvm-scratch && echo there
systemctl start initrd-fs.target local-fs.target; sleep 2
section late-status; ccvm-scratch status | head -n 2 | cut -c1-20
section late-mappings; dmsetup ls
section late-mounts; findmnt -nro SOURCE /scratch; findmnt -nro TARGET /dev/disk/by-id/virtio-ccvm-scratch
section late-failed; systemctl list-units --failed --plain --no-legend | cut -d' ' -f1
"""
    report = FaultVM("disk-15-s-late", devices=backend(image), script=script, meanwhile=plug).run()
    check_fault(report, "device-timeout")
    check_equal(report.line("plug"), "there", "the disk that came late")
    check_equal([line.split()[-1] for line in report.lines("late-status")], ["tmpfs", "device-timeout"], "status then")
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
