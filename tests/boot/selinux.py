# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest whose policy says who may use what, enforced from the boot on, with our module."""

import re

from cases import DISK, GIB, SCRATCH_SCRIPT, SOURCE, check_encrypted, check_scratch, check_use, directory, plug
from fault import SLOT1
from hotplug import AFTER, HOTPLUG, PLUG
from machine import Root, thrown_away
from registry import case
from script import AGAIN, REPORT, Script
from vm import VM, Image, build_guest, check_equal

# Some programs change to a domain of their own, which may not write to the port of a test; journalctl's may not even
# read the journal. Copies of them do not.
PROLOGUE = r"""
mkdir /run/tools
cp -p /usr/bin/journalctl /usr/bin/dmesg /usr/sbin/dmsetup /run/tools
chcon -t bin_t /run/tools /run/tools/*
PATH=/run/tools:$PATH

# mke2fs has a domain of its own, which may write where services have their temporary files.
labels() {
    mke2fs -q /scratch/image 1M </dev/null >/dev/null 2>&1
    stat -c '%n %C' /scratch /scratch/cache /var/tmp /scratch/image
}
"""

LABELS = [
    "/scratch system_u:object_r:tmp_t:s0",
    "/scratch/cache system_u:object_r:tmp_t:s0",
    "/var/tmp system_u:object_r:tmp_t:s0",
    "/scratch/image system_u:object_r:fsadm_tmp_t:s0",
]

SCRIPT = SCRATCH_SCRIPT + Script(
    ("enforcing", "getenforce"),
    ("labels", "labels"),
    ("private", """cat >/run/systemd/system/private.service <<END
[Service]
Type=oneshot
PrivateTmp=yes
StandardOutput=file:/run/private
ExecStart=/bin/sh -c 'echo mine >/tmp/mine && echo mine >/var/tmp/mine && cat /tmp/mine /var/tmp/mine'
END
systemctl daemon-reload
systemctl start private.service
cat /run/private"""),
    ("renew", "ccvm-scratch renew --yes </dev/null 2>&1; echo $?"),
    ("labels-then", "labels"),
    ("denied", "dmesg | grep 'avc:  denied'"),
)

# What Debian's policies deny to systemd in any boot of this guest. All else that is denied counts.
OTHERS = re.compile(
    # The tmpfs with the credentials of the tests was mounted in the initrd, and has no label.
    r'{ read } .* comm="systemd-debug-g" name="/" dev="tmpfs"'
    r'|{ search } .* comm="systemd-journal" name="credentials" dev="tmpfs"'
    r'|{ getattr } .* comm="systemd-journal" path="/sys/fs/cgroup/system.slice/systemd-journald.service/'
    r'|{ relabelfrom } .* comm="systemd-tmpfile" name="root" dev="vda1"'
    r'|{ getattr } .* comm="systemd-tmpfile" path="/run/varlink/'
    r'|{ read } .* comm="systemd-udevd" name="io.systemd.DynamicUser"'
)


# Its root is an ordinary one, and what is written to it is thrown away. On a busy host the kernel needs a while for it.
ROOT = Root(
    "root=PARTLABEL=ccvm-root rootfstype=ext4 rw systemd.default_device_timeout_sec=240",
    thrown_away("root.raw", "-device", "virtio-blk-pci,drive=root,serial=ccvm-root"),
)


MOUNTS = '"ccvm.mounts=/scratch:1777 /scratch/cache:0755 /var/tmp:1777"'


def boot(name, append, devices, script, **more):
    append = f"security=selinux enforcing=1 log_buf_len=1M {append} {MOUNTS}"
    script = PROLOGUE + script.text()
    report = VM(name, append, devices, script, guest=build_guest("selinux"), root=ROOT, stock=True, **more).run()
    check_equal(report.line("enforcing"), "Enforcing", "SELinux")
    check_encrypted(report, GIB)
    check_scratch(report, "ext4")
    check_use(report)
    check_equal(report.mount("/var/tmp")["source"], SOURCE + "[/var/tmp]", "source of /var/tmp")
    for section in ("labels", "labels-then"):
        check_equal(report.lines(section), LABELS, section)
    check_equal(report.lines("private"), ["mine", "mine"], "/tmp and /var/tmp of a service with PrivateTmp=")
    check_equal(report.lines("renew"), ["0"], "a renewal")
    check_equal([line for line in report.lines("denied") if not OTHERS.search(line)], [], "what the policy has denied")


@case(seconds=60, since_systemd=256)  # as old is a mkosi that can make its guest
def selinux():
    """A confined program may use the pool, also after a renewal, and nothing is denied to anybody."""
    image = Image(directory() / "disk", GIB)
    boot("selinux", DISK, image.device(), REPORT + SCRIPT)


@case(seconds=60, since_systemd=256)
def selinux_hotplug():
    """The same with a disk that comes when the policy has long been there."""
    image = Image(directory() / "disk", GIB)
    boot("selinux-hotplug", HOTPLUG, SLOT1 + image.backend(), REPORT + PLUG + AFTER + AGAIN + SCRIPT, meanwhile=plug(0))
