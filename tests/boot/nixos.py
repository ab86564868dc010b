# SPDX-License-Identifier: LGPL-2.1-or-later
"""NixOS: the units, fstab lines and the way to the system's closure that its initrd has, in this guest's initrd.

After nixpkgs' systemd/initrd.nix and tasks/filesystems/overlayfs.nix, with what nixos/module.nix adds to them: the
overlay on /nix/store is the fstab's, and only its upper is ours (ccvm.nix=upper).
"""

import json

from cases import GIB, LUKS, MIB, check_encrypted, check_outcome, check_overlay, check_scratch, directory, plug
from fault import FaultVM, program, unit
from hotplug import AFTER, HOTPLUG
from registry import case
from script import Script
from shutdown import override, reboot_userspace, second_userspace
from vm import Image, check, check_equal

SYSTEM = "/nix/store/v0s6vxjgs3kzx5r9yb7kpmz1cq8w4hfd-nixos-system-ccvm-guest"

FSTAB = """\
/sysroot/nix/.ro-store /sysroot/nix/.ro-store none x-initrd.mount,bind 0 0
overlay /sysroot/nix/store overlay x-initrd.mount,lowerdir=/sysroot/nix/.ro-store,\
upperdir=/sysroot/nix/.rw-store/store,workdir=/sysroot/nix/.rw-store/work,\
x-systemd.requires-mounts-for=/sysroot/nix/.ro-store,x-systemd.requires-mounts-for=/sysroot/nix/.rw-store/store,\
x-systemd.requires-mounts-for=/sysroot/nix/.rw-store/work 0 0
"""

MAKE_UPPER = """\
[Unit]
DefaultDependencies=no
Before=sysroot-nix-store.mount
RequiresMountsFor=/sysroot/nix/.rw-store/store /sysroot/nix/.rw-store/work
[Service]
Type=oneshot
ExecStart=mkdir -p -m 0755 /sysroot/nix/.rw-store/store /sysroot/nix/.rw-store/work
"""

FIND_CLOSURE = """\
[Unit]
DefaultDependencies=no
RequiresMountsFor=/sysroot/nix/store
Before=initrd.target shutdown.target
Conflicts=shutdown.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/dash /usr/bin/find-closure
"""

FIND_CLOSURE_SCRIPT = """\
set -eu
for word in $(cat /proc/cmdline); do
    case $word in init=*) init=${word#init=} ;; esac
done
closure=$(dirname "$(chroot /sysroot /usr/bin/realpath --no-symlinks "$init")")
ln -s "$closure" /nixos-closure
[ -x "/sysroot$closure/prepare-root" ]
echo NEW_INIT= >/etc/switch-root.conf
"""

# The After= is for this guest: systemd.volatile= replaces its root.
RUN = """\
[Unit]
DefaultDependencies=no
After=initrd-root-fs.target
Before=initrd-fs.target
[Mount]
What=/run
Where=/sysroot/run
Options=rbind
"""

ACTIVATION = """\
[Unit]
DefaultDependencies=no
AssertPathExists=/etc/initrd-release
RequiresMountsFor=/sysroot/run
After=initrd-switch-root.target
Before=initrd-switch-root.service
[Service]
Type=oneshot
ExecStart=/usr/bin/dash -c 'exec chroot /sysroot "$$(readlink /nixos-closure)/prepare-root"'
"""

SWITCH_ROOT = """\
[Service]
EnvironmentFile=-/etc/switch-root.conf
ExecStart=
ExecStart=systemctl --no-block switch-root /sysroot "${NEW_INIT}"
"""

# Of nixos/module.nix.
DROP_IN = """\
[Unit]
After=sysroot-run.mount
"""

# The system's services have a PATH by their units, if nixos/module.nix gives them one, and else no mkfs.
MKFS_PATH = r"""
mkdir -p /run/nixos/bin
for path in /usr/sbin/mkfs.*; do ln -s $(realpath $path) /run/nixos/bin/${path##*/}; rm $path; done
""" + override("ccvm-scratch-luks.service", r"[Service]\nEnvironment=PATH=/run/nixos/bin\n")

# A file system above a mount of ours, which takes its time, as one of a disk.
SLOW_SRV = r"""
cd /run/systemd/system; mkdir -p local-fs.target.wants; ln -s ../srv.mount local-fs.target.wants
printf '[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=sleep 2\n' >slow.service
printf '[Unit]\nWants=slow.service\nAfter=slow.service\n[Mount]\nWhat=tmpfs\nWhere=/srv\nType=tmpfs\n' >srv.mount
cd /
"""

SCRIPT = Script(
    ("stage-1", "journalctl -b -o short-monotonic --no-pager -u initrd-find-nixos-closure -u initrd-nixos-activation -u sysroot-run.mount"),
    ("prepared", "cat /run/nixos-prepared"),
    ("pools", "findmnt --noheadings --list --output TARGET | grep -c /run/ccvm-scratch/pool"),
    ("wiped", "ccvm-scratch wipe --yes && cat /run/ccvm-scratch/status.json && findmnt --noheadings /scratch; true"),
)


def files():
    units = "/etc/systemd/system"
    made = {
        "/etc/fstab": FSTAB.encode(),
        "/usr/bin/find-closure": FIND_CLOSURE_SCRIPT.encode(),
        f"{units}/initrd-switch-root.service.d/nixos.conf": SWITCH_ROOT.encode(),
        f"{units}/ccvm-scratch-luks.service.d/overrides.conf": DROP_IN.encode(),
        f"{units}/ccvm-scratch-tmpfs.service.d/overrides.conf": DROP_IN.encode(),
    }
    for name, text, target in (
        ("rw-sysroot-nix-store.service", MAKE_UPPER, "sysroot-nix-store.mount"),
        ("initrd-find-nixos-closure.service", FIND_CLOSURE, "initrd.target"),
        ("sysroot-run.mount", RUN, "initrd-fs.target"),
        ("initrd-nixos-activation.service", ACTIVATION, "initrd-switch-root.service"),
    ):
        made |= unit(name, text, target, "requires")
    names = ("bin/dash", "bin/mount", "bin/cat", "sbin/chroot", "bin/dirname", "bin/ln", "bin/mkdir", "bin/readlink")
    return made | program(*(f"/usr/{name}" for name in names))


def boot(name, append, size=GIB):
    image = Image(directory() / "disk", size)
    report = FaultVM(name, f"ccvm.nix=upper init={SYSTEM}/init {append}", image.device(), SCRIPT, files()).run()
    check_equal(report.line("prepared"), f"{SYSTEM}/prepare-root", "activation of the system's closure")
    check_equal(report.line("pools"), "1", "mounts of the pool")
    return report


@case(seconds=20)
def nixos_initrd():
    report = boot("nixos-initrd", "")
    check_encrypted(report, GIB)
    check_scratch(report, "ext4")
    check_overlay(report, "ext4")
    wiped = report.lines("wiped")
    check_equal(len(wiped), 1, f"what is left of the pool after wipe ({wiped})")
    check_equal(json.loads(wiped[0])["reason"], "wiped", "status after wipe")


@case(seconds=20)
def nixos_initrd_without():
    report = boot("nixos-initrd-without", "ccvm.vm_disk=0")
    check_outcome(report, "off")
    check_overlay(report, "tmpfs")
    check("wipe" in report.lines("wiped")[0], "wipe without a disk")


@case(seconds=20)
def nixos_initrd_failing():
    report = boot("nixos-initrd-failing", "", MIB)
    check_outcome(report, "tmpfs", "device-too-small", [LUKS])
    check_scratch(report, "tmpfs", "ccvm-scratch")
    check_overlay(report, "tmpfs")


WAIT = AFTER.commands()

HOTPLUG_SCRIPT = second_userspace(
    MKFS_PATH + 'ask "plug 0"\n' + WAIT,
    SLOW_SRV,
    WAIT,
    Script(("srv", "findmnt -no FSTYPE /srv; ccvm-scratch is-encrypted /scratch /srv/work; echo $?")),
)


@case(seconds=50, counted=True)
def nixos_hotplug():
    """A disk that is plugged in, and its pool after a soft-reboot, are set up by the system's services.

    The second time the disk is there before the system's own mounts, and has to come on top of them.
    """
    append = f"{HOTPLUG} ccvm.mounts=/scratch:1777,/srv/work"
    report = reboot_userspace("nixos-hotplug", HOTPLUG_SCRIPT, append, Image.backend, meanwhile=plug(0))
    check_encrypted(report, GIB, reports=2)
    check_equal(report.lines("srv"), ["tmpfs", "0"], "the system's own file system, and what is mounted below it")
    check_equal(report.line("attempted"), "system", "where the pool was set up")
    check("No such file" in report.line("old"), "a file of the first userspace is still on /scratch")
