# SPDX-License-Identifier: LGPL-2.1-or-later
"""Disks that are plugged into a running VM."""

from cases import DISK, GIB, LUKS, MIB, SCRATCH_SCRIPT, check_encrypted, check_outcome, check_scratch, check_use, directory
from fault import FaultVM, check_time, program, unit
from faults_disk import backend
from vm import REPORT, Image, check, check_equal

HOTPLUG = "ccvm.vm_disk=hotplug ccvm.nix=no"

# Of the distribution's own mount, and of what its units need before they start.
EVERYWHERE = "ccvm.mounts=/scratch:1777,/var/tmp,/tmp"

# A service that asks for the mount, and for more time than a disk that does not come may cost.
AGENT = r"""
section boot; findmnt -no FSTYPE /tmp; systemctl list-jobs --no-legend
systemctl show -P ActiveState -P Result ccvm-scratch-luks.service ccvm-scratch-tmpfs.service | sort -u
systemctl list-units --all --plain --no-legend 'dev-disk-by*ccvm?x2dscratch.device' ccvm-scratch-luks.service
section agent; mkdir -p /scratch /run/systemd/system
printf '[Service]\nType=oneshot\nWorkingDirectory=/scratch\nPrivateTmp=yes\nExecStart=/bin/sh -c "pwd >/var/tmp/pwd"\n' \
    >/run/systemd/system/agent.service
systemctl daemon-reload; systemctl start agent.service; echo $?
systemctl start ccvm-scratch-luks.service; ls /run/ccvm-scratch; systemctl is-failed ccvm-scratch-luks.service
ccvm-scratch status >/dev/null; echo $?
"""

# Before the disk: nothing of the pool, and a file in what /scratch is until then.
BEFORE = r"""
section before; findmnt --noheadings /scratch; ls /run/ccvm-scratch 2>/dev/null; ccvm-scratch status
echo "written before" >/scratch/before
"""

# The whole report once more: what is reported twice counts as it was the second time.
AFTER = r"""
for i in $(seq 300); do [ -e /run/ccvm-scratch/status.json ] && break; sleep 0.1; done
systemctl is-system-running --wait
for i in $(seq 100); do systemctl list-jobs | grep -q "No jobs" && break; sleep 0.1; done
"""

USE = r"""
section scratch-before; cat /scratch/before
""" + SCRATCH_SCRIPT

EVERYWHERE_SCRIPT = r"""
section everywhere; ccvm-scratch is-encrypted /scratch /var/tmp /tmp; echo $?
"""

# A second one, which nobody takes.
SECOND = r"""
ask "plug 1"
for i in $(seq 100); do grep -qx ccvm-scratch /sys/block/vdc/serial && break; sleep 0.1; done
udevadm settle; sleep 2
section second; echo $(cat /sys/block/vdc/serial); ls /sys/block/vdc/holders
section table-then; dmsetup table
"""


SLOT2 = ["-device", "pcie-root-port,id=slot2,chassis=2"]


def plug(*numbers):
    """The host's part: each disk when the guest asks for it."""

    def meanwhile(vm):
        for number in numbers:
            vm.hear(f"plug {number}")
            vm.plug(number)
            vm.host.write("plugged")

    return meanwhile


def check_second(report, image):
    check_equal(report.line("second"), "ccvm-scratch", "serial of the second disk, and what holds it")
    check_equal(report.line("table-then"), report.line("table"), "table of the mapping with a second disk")
    check(image.is_zero(), "the second disk was written to")


def hotplug():
    """/scratch is on the disk without a reboot, and a second disk stays what it was."""
    first, second = (Image(directory() / "disk", GIB) for _ in range(2))
    script = AGENT + BEFORE + 'ask "plug 0"' + AFTER + REPORT + USE + EVERYWHERE_SCRIPT + SECOND
    devices = SLOT2 + backend(first) + backend(second, 1)
    report = FaultVM("hotplug", f"{HOTPLUG} {EVERYWHERE}", devices, script, meanwhile=plug(0, 1)).run()
    check_equal(report.lines("boot"), ["tmpfs", "", "inactive", "success"], "the boot without the disk")
    check_equal(report.lines("agent"), ["0", "config", "inactive", "3"], "a service in /scratch, and what it costs")
    check_equal([line.strip() for line in report.lines("before")[:2]], ["config", "State: none (degraded: there is no pool)"], "before the disk")
    check_time(report)
    check_encrypted(report, GIB)
    for target in ("/scratch", "/var/tmp", "/tmp"):
        check_equal(report.mount(target)["source"], f"/dev/mapper/ccvm-scratch[{target}]", f"source of {target}")
    check_scratch(report, "ext4")
    check_use(report)
    check("No such file" in report.line("scratch-before"), "what was in /scratch before does not lie below")
    check_second(report, second)


def hotplug_failing():
    """/scratch stays what it was, with what is in it."""
    image = Image(directory() / "disk", 200 * MIB)
    script = BEFORE + 'ask "plug 0"' + AFTER + REPORT + USE
    report = FaultVM("hotplug-failing", f"{HOTPLUG} ccvm.fstype=xfs", backend(image), script, meanwhile=plug(0)).run()
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


def hotplug_at_boot():
    """The disk is there from the start: nothing waits for it, and the system takes it when it is up.

    The marker is a credential that only the initrd gets.
    """
    image = Image(directory() / "disk", GIB)
    files = program("/usr/bin/mount", "/usr/bin/rm")
    files |= unit("forget.service", FORGET, "initrd.target")
    vm = FaultVM("hotplug-at-boot", "ccvm.nix=no", image.device(), AFTER + REPORT + USE, files)
    vm.append = vm.append.replace(DISK, "")
    vm.fw_cfg = ["name=opt/io.systemd.credentials/ccvm.vm-disk,string=hotplug"]
    report = vm.run()
    check_encrypted(report, GIB)
    check_scratch(report, "ext4")


def second_disk_later():
    """A VM that was started with a disk takes no other one."""
    first, second = (Image(directory() / "disk", GIB) for _ in range(2))
    devices = SLOT2 + first.device() + backend(second, 1)
    report = FaultVM("second-disk-later", DISK, devices, SECOND, meanwhile=plug(1)).run()
    check_encrypted(report, GIB)
    check_second(report, second)
