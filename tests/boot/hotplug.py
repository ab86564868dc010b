# SPDX-License-Identifier: LGPL-2.1-or-later
"""Disks that are plugged into a running VM."""

from cases import GIB, LUKS, MIB, SCRATCH_SCRIPT, SECOND, SLOT, check_encrypted, check_outcome, check_scratch, check_second
from cases import SOURCE, check_use, directory, plug
from fault import FaultVM, check_time, program, unit
from registry import case
from script import AGAIN, Script
from vm import VM, Image, check, check_equal

HOTPLUG = "ccvm.vm_disk=hotplug ccvm.nix=no"

# Of the distribution's own mount, and of what its units need before they start.
EVERYWHERE = "ccvm.mounts=/scratch:1777,/var/tmp,/tmp"

# A service that asks for the mount, and for more time than a disk that does not come may cost.
AGENT = Script(
    ("boot", """findmnt -no FSTYPE /tmp; systemctl list-jobs --no-legend
systemctl show -P ActiveState -P Result ccvm-scratch-luks.service ccvm-scratch-tmpfs.service | sort -u
systemctl list-units --all --plain --no-legend 'dev-disk-by*ccvm?x2dscratch.device' ccvm-scratch-luks.service"""),
    ("agent", r"""mkdir -p /scratch /run/systemd/system
printf '[Service]\nType=oneshot\nWorkingDirectory=/scratch\nPrivateTmp=yes\nExecStart=/bin/sh -c "pwd >/var/tmp/pwd"\n' \
    >/run/systemd/system/agent.service
systemctl daemon-reload; systemctl start agent.service; echo $?
systemctl start ccvm-scratch-luks.service; ls /run/ccvm-scratch; systemctl is-failed ccvm-scratch-luks.service
ccvm-scratch status >/dev/null; echo $?"""),
)

# Before the disk: nothing of the pool, and a file in what /scratch is until then.
BEFORE = Script(
    ("before", """findmnt --noheadings /scratch; ls /run/ccvm-scratch 2>/dev/null; ccvm-scratch status
echo "written before" >/scratch/before"""),
)

# What is reported once more counts as it is then.
AFTER = Script((None, r"""
for i in $(seq 300); do [ -e /run/ccvm-scratch/status.json ] && break; sleep 0.1; done
systemctl is-system-running --wait
for i in $(seq 100); do systemctl list-jobs | grep -q "No jobs" && break; sleep 0.1; done"""))

USE = Script(
    ("scratch-before", "cat /scratch/before"),
) + SCRATCH_SCRIPT

EVERYWHERE_SCRIPT = Script(
    ("everywhere", "ccvm-scratch is-encrypted /scratch /var/tmp /tmp; echo $?"),
)

PLUG = Script((None, 'ask "plug 0"'))

HOTPLUG_SCRIPT = AGENT + BEFORE + PLUG + AFTER + AGAIN + USE + EVERYWHERE_SCRIPT + SECOND
FAILING_SCRIPT = BEFORE + PLUG + AFTER + AGAIN + USE
AT_BOOT_SCRIPT = AFTER + AGAIN + USE


@case(seconds=25, quick=True, oldstable=True)
def hotplug():
    """/scratch is on the disk without a reboot, and a second disk stays what it was."""
    first, second = (Image(directory() / "disk", GIB) for _ in range(2))
    devices = SLOT + first.backend() + second.backend(1)
    report = FaultVM("hotplug", f"{HOTPLUG} {EVERYWHERE}", devices, HOTPLUG_SCRIPT, meanwhile=plug(0, 1)).run()
    check_equal(report.lines("boot"), ["tmpfs", "", "inactive", "success"], "the boot without the disk")
    check_equal(report.lines("agent"), ["0", "config", "inactive", "3"], "a service in /scratch, and what it costs")
    check_equal([line.strip() for line in report.lines("before")[:2]], ["config", "State: none (degraded: there is no pool)"], "before the disk")
    check_time(report)
    check_encrypted(report, GIB)
    for target in ("/scratch", "/var/tmp", "/tmp"):
        check_equal(report.mount(target)["source"], f"{SOURCE}[{target}]", f"source of {target}")
    check_scratch(report, "ext4")
    check_use(report)
    check("No such file" in report.line("scratch-before"), "what was in /scratch before does not lie below")
    check_second(report, second)


@case
def hotplug_failing():
    """/scratch stays what it was, with what is in it."""
    image = Image(directory() / "disk", 200 * MIB)
    report = FaultVM("hotplug-failing", f"{HOTPLUG} ccvm.fstype=xfs", image.backend(), FAILING_SCRIPT, meanwhile=plug(0)).run()
    check_outcome(report, "none", "device-too-small", [LUKS])
    check("at least 331350016 are needed" in report.status["detail"], f"the size that xfs needs: {report.status['detail']}")
    check_equal(report.mount("/scratch"), None, "/scratch")
    check_equal(report.line("scratch-before"), "written before", "what was in /scratch")
    check(image.is_zero(), "the disk was written to")


# As on NixOS, where the initrd's credentials do not come to the real root.
FORGET = """[Unit]
Description=Takes the marker away before the real root
DefaultDependencies=no
Before=initrd-switch-root.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=mount -o remount,rw /run/credentials/@system
ExecStart=rm /run/credentials/@system/ccvm.vm-disk
"""


@case
def hotplug_at_boot():
    """The disk is there from the start: nothing waits for it, and the system takes it when it is up.

    The marker is a credential that only the initrd gets.
    """
    image = Image(directory() / "disk", GIB)
    files = program("/usr/bin/mount", "/usr/bin/rm")
    files |= unit("forget.service", FORGET, "initrd.target")
    credentials = {"ccvm.vm-disk": "string=hotplug"}
    report = VM("hotplug-at-boot", "", image.device(), AT_BOOT_SCRIPT, files, credentials=credentials).run()
    check_encrypted(report, GIB)
    check_scratch(report, "ext4")
