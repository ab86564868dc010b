# SPDX-License-Identifier: LGPL-2.1-or-later
"""The end of a VM: what an orderly shutdown does with the pool, and what it costs."""

import re

from cases import DISK, GIB, OVERLAY_SCRIPT, check_encrypted, check_overlay, check_scratch, directory
from fault import FaultVM
from integrity import AUTHENTICATED, TAGS_SCRIPT, check_authenticated
from registry import case
from script import REPORT, Script
from vm import Image, check, check_equal


def override(unit, text):
    """What the guest's script does to override a unit of the running system."""
    path = f"/run/systemd/system/{unit}.d/50-shutdown.conf"
    return f"\nmkdir -p {path.rpartition('/')[0]}; printf '{text}' >{path}; systemctl daemon-reload\n"


# The unit of the script would else power off as soon as it is stopped.
ORDERLY = override("ccvm-report.service", r"[Unit]\nSuccessAction=none\nFailureAction=none\n")

POWER_OFF = Script((None, ORDERLY + 'echo "<4>ccvm-test: down" >/dev/kmsg; systemctl poweroff; sleep 100'))

# As NixOS has it.
KEEP_STORE = override("nix-store.mount", r"[Unit]\nDefaultDependencies=no\n")

# All that the manager and systemd-shutdown say, to the console.
TALKATIVE = "loglevel=7 printk.devkmsg=on systemd.log_target=kmsg systemd.log_level=info systemd.show_status=no"


def shut_down(name, marker):
    """Boots, powers off, and returns (seconds of guest time that took, what was logged meanwhile)."""
    image = Image(directory() / "disk", GIB)
    vm = FaultVM(name, f"{marker} {TALKATIVE}", image.device(), POWER_OFF, counted=True)
    vm.start().wait()
    return judge(vm)


def judge(vm):
    """Of a guest that was to power off: (seconds, log)."""
    console = vm.console.read_text(errors="replace")
    check("ccvm-test: down" in console, f"the guest never came to its end; see {vm.console}")
    log = re.sub(r"(?s).*\n(.*ccvm-test: down)", r"\1", console)
    check("reboot: Power down" in log, f"the guest was not powered off; see {vm.console}")
    times = [float(time) for time in re.findall(r"^\[ *([0-9.]+)\]", log, re.M)]
    print(f"# {vm.name}: shut down in {times[-1] - times[0]:.3f} s of guest time")
    return times[-1] - times[0], log


# Of systemd before 254, about a mount that it had unmounted already.
EXPECTED = "busy.service|run-credentials-.* (Mount process exited|Mount disappeared)"


def check_closed(log, expected=EXPECTED):
    """Everything unmounted, and the mapping removed, at the first try. expected: complaints that are none."""
    for line in (
        "Unmounted scratch.mount", "Stopped ccvm-scratch-shutdown.service", "All DM devices detached",
        "All filesystems unmounted",
    ):  # fmt: skip
        check(line in log, f"not in the log of the shutdown: {line}")
    check("Detaching DM /dev" not in log, "a mapping was left to systemd-shutdown")
    bad = [line for line in log.splitlines() if re.search(r"(?i)fail|could not|not all|busy|error", line)]
    check_equal([line for line in bad if not re.search(expected, line)], [], "complaints at shutdown")


@case(seconds=60, counted=True)
def shutdown():
    """No step fails or waits: with nothing beside it 0.05 s more than without the disk."""
    without, _ = shut_down("shutdown-without", "ccvm.vm_disk=0")
    took, log = shut_down("shutdown", DISK)
    check_closed(log)
    # Whatever waits for something that does not come waits for a second at least.
    check(took < without + 0.9, f"the shutdown took {took:.3f} s, and {without:.3f} s without the disk")


# The disk of a busy host: next to nothing is written while the file is made, then what it can take. One service holds a
# file open, another one has something to do when it is stopped.
DIRTY = Script(
    (None, """echo 2000000000 >/proc/sys/vm/dirty_bytes; echo 2000000000 >/proc/sys/vm/dirty_background_bytes
sync -f /scratch; ask 262144; dd if=/dev/zero of=/scratch/dirty bs=1M count=256 status=none"""),
    ("dirty", "awk '/^(Dirty|Writeback):/ {n += $2} END {print n}' /proc/meminfo"),
    ("queue", r"""cat /sys/block/vdb/queue/nr_requests /sys/block/vdb/queue/max_sectors_kb
systemd-run --unit=busy -p WorkingDirectory=/scratch sh -c 'exec 5>open && echo data >&5 && exec tail -f open'
systemd-run --unit=last -p ExecStop='/bin/sh -c "sleep 1 && cp /scratch/kept /run/last && cat /run/last >/dev/kmsg"' \
    -p RemainAfterExit=yes sh -c 'echo "ccvm-test: the last service has its file" >/scratch/kept'
until [ -s /scratch/kept ] && [ -s /scratch/open ]; do sleep 0.1; done
ask 8388608"""),
)


DIRTY_SCRIPT = DIRTY + POWER_OFF


# On a kernel as old as systemd 253 an unmount waits for sync(2), and all is written before.
@case(seconds=60, counted=True, since_systemd=254)
def shutdown_dirty():
    """256 MiB that nobody will read are not written, but for what the disk has been given already."""
    image = Image(directory() / "disk", GIB)
    before = []

    def throttle(vm):
        vm.throttle("slow")
        vm.throttle("slow")
        vm.wait_for_console("Giving up what is on its way")
        before.append(image.allocated())

    vm = FaultVM("shutdown-dirty", TALKATIVE, image.device(id="slow"), DIRTY_SCRIPT, meanwhile=throttle, memory=1536, counted=True)
    report = vm.start().wait()
    took, log = judge(vm)
    dirty = int(report.line("dirty")) >> 10
    check(dirty > 200, f"only {dirty} MiB were yet to be written")
    check_equal(report.lines("queue")[:2], ["128", "256"], "requests that the disk gets at once, and their KiB")
    check("ccvm-test: the last service has its file" in log, "a service was cut off before it had stopped")
    check_closed(log, f"{EXPECTED}|I/O error|potential data loss")
    # By bytes: how long it takes depends on what else the host does. It has up to 128 requests of 256 KiB.
    until, after = before[0] >> 20, (image.allocated() - before[0]) >> 20
    print(f"# {until} of {dirty} MiB written while services stopped, and {after} after that")
    check(after < 48, f"{after} MiB of {dirty} were written after the end of all services, in {took:.1f} s")
    check(until + after < dirty * 9 // 10, "nothing was left to be given up")


def second_userspace(first="", before="", second="", last=Script()):
    """The script of a VM that soft-reboots, and reports of its second userspace.

    first, before: for the first one, when it starts and before it ends; second, last: for the other, likewise.
    """
    head = (
        "[ -e /run/second ] || {\n"
        + first
        + "touch /run/second /scratch/old\n"
        + "dmsetup table | sed 's/ internal_hash.*//' >/run/first-table\n"
        + ORDERLY
        + before
        + "systemctl soft-reboot; sleep 100\n}\n"
        + "rm /run/systemd/system/ccvm-report.service.d/50-shutdown.conf; systemctl daemon-reload\n"
        + second
    )
    old = Script(
        ("old", "ls /scratch/old"),
        ("first", "cat /run/first-table"),
        ("attempted", "cat /run/ccvm-scratch/attempted"),
    )
    return Script((None, head)) + REPORT + TAGS_SCRIPT + OVERLAY_SCRIPT + old + last


def reboot_userspace(name, script, append="", disk=Image.device, **more):
    """Boots, soft-reboots, and returns what the second userspace reports. more: the VM's.

    By counted instructions: what a unit does when it is stopped has a second.
    """
    image = Image(directory() / "disk", GIB)
    report = FaultVM(name, append, disk(image), script.text(), counted=True, **more).run()
    check_scratch(report, "ext4")
    check(" crypt " in report.text.split("== first")[1], "the first userspace had no disk")
    return report


SOFT_REBOOT = second_userspace()
IN_USE = second_userspace(before=KEEP_STORE)


@case(seconds=45, counted=True, since_systemd=254)
def soft_reboot():
    """A new userspace on the same kernel: a new key and a new file system, and nothing of the old one."""
    report = reboot_userspace("soft-reboot", SOFT_REBOOT, AUTHENTICATED)
    check_overlay(report, "ext4")
    check_authenticated(report, GIB, reports=2)
    check_equal(report.line("attempted"), "system", "where the pool was set up")
    check("No such file" in report.line("old"), "a file of the first userspace is still on /scratch")
    check(not set(report.lines("first")) & set(report.lines("table")), "the mapping is the one from before")


@case(seconds=45, counted=True, since_systemd=254)
def soft_reboot_in_use():
    """Where /nix/store stays mounted, as NixOS has it, so does the disk below it, with all that is on it."""
    report = reboot_userspace("soft-reboot-in-use", IN_USE)
    check_overlay(report, "ext4")
    check_encrypted(report, GIB)
    check_equal(report.line("attempted"), "initrd", "where the pool was set up")
    check_equal(report.line("old"), "/scratch/old", "the file of the first userspace")
    check_equal(report.line("first"), report.line("table"), "the mapping")
