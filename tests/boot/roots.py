# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same graph in the real root, where no initrd has made it."""

from cases import GIB, MIB, directory
from fault import FaultVM, check_fault, check_no_fault, program
from vm import Image, check_equal

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

SCRIPT = r"""
section attempted; cat /run/ccvm-scratch/attempted
section initrd; systemctl show -P InitRDTimestampMonotonic
"""


def boot(name, image):
    files = {"/bare/init": (INIT, 0o755)}
    files |= program("/usr/bin/dash", "/usr/bin/sleep", "/usr/bin/mkdir", "/usr/bin/mount", "/usr/sbin/switch_root")
    report = FaultVM(name, "rdinit=/bare/init", image.device(), SCRIPT, files).run()
    check_equal(report.line("initrd"), "0", "start of an initrd")
    check_equal(report.line("attempted"), "system", "where the pool was set up")
    return report


def no_initrd():
    check_no_fault(boot("no-initrd", Image(directory() / "disk", GIB)), GIB)


def no_initrd_failing():
    check_fault(boot("no-initrd-failing", Image(directory() / "disk", MIB)), "device-too-small")
