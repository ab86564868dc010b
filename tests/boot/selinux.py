# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest whose policy says who may use what, enforced from the boot on."""

import re

from cases import DISK, GIB, SCRATCH_SCRIPT, SOURCE, check_encrypted, check_scratch, check_use, directory
from machine import Root, thrown_away
from registry import case
from script import REPORT, Script
from vm import VM, Image, build_guest, check_equal

# Some programs change to a domain of their own, which may not write to the port of a test; journalctl's may not even
# read the journal. Copies of them do not.
PROLOGUE = r"""
mkdir /run/tools
cp -p /usr/bin/journalctl /usr/bin/dmesg /usr/sbin/dmsetup /run/tools
chcon -t bin_t /run/tools /run/tools/*
PATH=/run/tools:$PATH
"""

SCRIPT = SCRATCH_SCRIPT + Script(
    ("enforcing", "getenforce"),
    ("labels", """for path in /scratch /scratch/mine /scratch/cache /var/tmp; do
    echo "$path $(stat -c %C $path) $(matchpathcon -n $path)"
done"""),
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
    ("denied", "dmesg | grep 'avc:  denied'"),
)

# What Debian's policy denies to systemd 257 in any boot of this guest. All else that is denied counts.
OTHERS = re.compile(
    # The tmpfs with the credentials of the tests was mounted in the initrd, and has no label.
    r'{ read } .* comm="systemd-debug-g" name="/" dev="tmpfs"'
    r'|{ search } .* comm="systemd-journal" name="credentials" dev="tmpfs"'
    r'|{ getattr } .* comm="systemd-journal" path="/sys/fs/cgroup/system.slice/systemd-journald.service/'
    r'|{ relabelfrom } .* comm="systemd-tmpfile" name="root" dev="vda1"'
)


# Its root is an ordinary one, and what is written to it is thrown away.
ROOT = Root(
    "root=PARTLABEL=ccvm-root rootfstype=ext4 rw",
    thrown_away("root.raw", "-device", "virtio-blk-pci,drive=root,serial=ccvm-root"),
)


@case(seconds=60, since_systemd=256)  # as old is a mkosi that can make its guest
def selinux():
    """What is on the pool is labelled as its path demands, and nothing of it is denied to anybody."""
    image = Image(directory() / "disk", GIB)
    mounts = '"ccvm.mounts=/scratch:1777 /scratch/cache:0755 /var/tmp:1777"'
    append = f"security=selinux enforcing=1 log_buf_len=1M {DISK} {mounts}"
    script = PROLOGUE + (REPORT + SCRIPT).text()
    report = VM("selinux", append, image.device(), script, guest=build_guest("selinux"), root=ROOT, stock=True).run()
    check_equal(report.line("enforcing"), "Enforcing", "SELinux")
    check_encrypted(report, GIB)
    check_scratch(report, "ext4")
    check_use(report)
    check_equal(report.mount("/var/tmp")["source"], SOURCE + "[/var/tmp]", "source of /var/tmp")
    for line in report.lines("labels"):
        path, label, expected = line.split()
        check_equal(label, expected, f"label of {path}")
    check_equal(report.lines("private"), ["mine", "mine"], "/tmp and /var/tmp of a service with PrivateTmp=")
    check_equal([line for line in report.lines("denied") if not OTHERS.search(line)], [], "what the policy has denied")
