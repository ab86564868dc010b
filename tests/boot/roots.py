# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same graph in the real root, where no initrd has made it, or not all of it."""

import shutil

from cases import GIB, MIB, directory
from fault import FaultVM, before_root, check_fault, check_no_fault, program
from registry import case
from script import Script
from vm import Image, check_equal, check_missing

# As good as none, for systemd: it mounts the root, which this kernel cannot do by itself, and is gone. Neither systemd
# nor anything of ours runs in it.
INIT = b"""#!/usr/bin/dash
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs -o mode=0755 run /run
modprobe -aq virtio_pci virtio_blk erofs overlay
until [ -b /dev/vda1 ]; do sleep 0.1; done
mkdir -p /bare/lower /bare/upper /bare/root
mount -t erofs -o ro /dev/vda1 /bare/lower
mount -t tmpfs upper /bare/upper
mkdir /bare/upper/upper /bare/upper/work
mount -t overlay -o lowerdir=/bare/lower,upperdir=/bare/upper/upper,workdir=/bare/upper/work root /bare/root
exec switch_root /bare/root /sbin/init
"""

SCRIPT = Script(
    ("attempted", "cat /run/ccvm-scratch/attempted"),
    ("initrd", "systemctl show -P InitRDTimestampMonotonic"),
)


def boot(name, image):
    files = {"/bare/init": (INIT, 0o755)}
    files |= program("/usr/bin/dash", "/usr/bin/sleep", "/usr/bin/mkdir", "/usr/bin/mount", shutil.which("switch_root"))
    report = FaultVM(name, "rdinit=/bare/init", image.device(), SCRIPT, files).run()
    check_equal(report.line("initrd"), "0", "start of an initrd")
    check_equal(report.line("attempted"), "system", "where the pool was set up")
    return report


@case(seconds=20)
def no_initrd():
    check_no_fault(boot("no-initrd", Image(directory() / "disk", GIB)), GIB)


@case(seconds=20)
def no_initrd_failing():
    check_fault(boot("no-initrd-failing", Image(directory() / "disk", MIB)), "device-too-small")


# It has a way back, which this guest does without otherwise.
TO_BE_REMOUNTED = (
    "/usr/bin/rm /sysroot/etc/systemd/system/systemd-remount-fs.service",
    """/usr/bin/sh -c 'echo "root / overlay rw 0 0" >/sysroot/etc/fstab'""",
)

READ_ONLY_SCRIPT = Script(
    ("initrd-mounts", r"journalctl -b -o cat -u sysroot-scratch.mount -u 'sysroot-nix-*.mount' | grep -c 'Fail\|fail'"),
    ("unit", "systemctl show -P FragmentPath scratch.mount"),
    ("target", "systemctl is-active multi-user.target"),
)


def boot_read_only(name, more=()):
    """The root as it often is in an initrd, and not prepared for us."""
    files = program("/usr/bin/mount", "/usr/bin/rm", "/usr/bin/rmdir")
    files |= before_root(
        "/usr/bin/rmdir /sysroot/scratch /sysroot/nix/.rw-store", *more, "/usr/bin/mount -o remount,bind,ro /sysroot"
    )
    image = Image(directory() / "disk", GIB)
    return FaultVM(name, "", image.device(), READ_ONLY_SCRIPT, files).run()


def check_root(report, access):
    check_equal(report.mount("/")["options"].split(",")[0], access, "the root in the end")


@case(seconds=20)
def read_only_root():
    """As with most installed systems, until systemd-remount-fs.service; and there are no mount points yet."""
    report = boot_read_only("read-only-root", TO_BE_REMOUNTED)
    check_root(report, "rw")
    check_no_fault(report, GIB)
    check_equal(report.line("initrd-mounts"), "0", "failures of the initrd's mounts")
    check_equal(report.line("unit"), "/run/systemd/generator/scratch.mount", "what mounted /scratch")


@case(seconds=20)
def read_only_for_good():
    """Nothing can be mounted without a mount point: visibly, and the VM boots."""
    report = boot_read_only("read-only-for-good")
    check_root(report, "ro")
    units = {"ccvm-scratch-check.service", "nix-.rw\\x2dstore.mount", "nix-store.mount", "scratch.mount"}
    check_equal(report.failed, units, "what failed")
    check_equal(report.line("target"), "active", "the boot")
    check_equal(report.mount("/run/ccvm-scratch/pool")["fstype"], "ext4", "the pool")
    check_missing(report, ["/scratch", "/nix/.rw-store", "/nix/store"])
