# SPDX-License-Identifier: LGPL-2.1-or-later
"""Boots in which something fails, and what is asked of all of them.

The fault comes in from outside: by QEMU's arguments, by QMP while the guest runs, or by files that are appended to the
one initrd.
"""

import json
import os
import pathlib
import re
import subprocess

from cases import DISK, LUKS, OVERLAY_SCRIPT, SOURCE, check_degraded, check_encrypted, check_overlay, check_scratch
from machine import GUEST
from script import Script
from vm import VM, check, check_equal

# Compiled from fault.c.
SHIM = os.environ.get("CCVM_FAULT", "/nonexistent")

# Seconds that a fault may cost, in which the guest's only CPU has nothing to do but to wait.
BOUND = 15

# Seconds that any boot may wait for its disks on a busy host.
DISKS = 3

SCRIPT = OVERLAY_SCRIPT + Script(
    ("keyring", "grep -e cryptsetup -e logon /proc/keys"),
    ("zram", "ls -d /sys/block/zram[1-9]* 2>/dev/null"),
    ("swaps", "tail -n +2 /proc/swaps"),
)

DROP_IN = "/etc/systemd/system/{}.d/90-fault.conf"

# A slot for a disk that comes or goes while the guest runs.
SLOT1 = ["-device", "pcie-root-port,id=slot1,chassis=1"]


def find_in_initrd(pattern):
    """The paths in the initrd that match the regular expression."""
    names = re.findall(rb"0707010[0-9A-Fa-f]{103}([^\0]+)\0", (GUEST / "initrd").read_bytes())
    found = ["/" + name.decode() for name in names if re.fullmatch(pattern, name.decode())]
    check(found, f"the initrd has nothing like {pattern}")
    return found


def program(*paths):
    """Files of programs of this system, which is the guest's too, and of the libraries that they need."""
    libraries = re.findall(r"=> (/\S+)", subprocess.check_output(["ldd", *paths], text=True))
    files = {}
    # By the names that are asked for, which may be links: of programs, and of what the loader looks for.
    for name in [*paths, *(file if file.startswith("/usr/") else "/usr" + file for file in libraries)]:
        real = os.path.realpath(name)
        files[real] = (pathlib.Path(real).read_bytes(), 0o755)
        if real != name:
            files[name] = real
    return files


def unit(name, text, target, link="wants"):
    """Files of a unit that target wants, or requires."""
    directory = "/etc/systemd/system"
    return {f"{directory}/{name}": text.encode(), f"{directory}/{target}.{link}/{name}": f"../{name}"}


def before_root(*commands):
    """Files of a unit that runs these in the initrd, when the root with its overlay is there, and before its fstab is read."""
    text = """[Unit]
Description=Makes the root another one
DefaultDependencies=no
After=sysroot.mount systemd-volatile-root.service
Before=initrd-root-fs.target

[Service]
Type=oneshot
RemainAfterExit=yes
"""
    return unit("fault-prepare.service", text + "".join(f"ExecStart={command}\n" for command in commands), "initrd-root-fs.target")


def drop_in(unit, text):
    return {DROP_IN.format(unit): text.encode()}


def shim(at, do):
    """Files by which ccvm-scratch-setup runs into fault.c's point."""
    service = f"[Service]\nEnvironment=LD_PRELOAD=/usr/lib/fault.so FAULT_AT={at} 'FAULT_DO={do}'\n"
    with open(SHIM, "rb") as f:
        return {"/usr/lib/fault.so": (f.read(), 0o755), **drop_in(LUKS, service)}


class FaultVM(VM):
    """A boot with all mounts, a slot for a disk that is plugged in, and what is asked after a fault.

    counted: the guest's clock counts its instructions, and the units' own limits count by it.
    """

    def __init__(self, name, append="", devices=(), script=Script(), files=None, meanwhile=None, *, first=(), **fields):
        append = f"{DISK} ccvm.nix=overlay {append}"
        if not isinstance(script, str):
            script = SCRIPT + script
        super().__init__(name, append, devices, script, files, meanwhile, first=[*SLOT1, *first], **fields)


def waited(report):
    """Seconds of the boot in which the guest's CPU had nothing to do, see proc_stat(5)."""
    _, _, _, _, idle, iowait, *_ = report.line("cpu").split()
    return (int(idle) + int(iowait)) / 100


def check_time(report):
    """What a boot waits for is bounded, and counts the same however slow the CPU is that does the rest."""
    seconds = waited(report)
    print(f"# {seconds:.2f} s of the boot had nothing to do")
    check(seconds < BOUND + DISKS, f"the boot has waited for {seconds:.1f} s, {BOUND + DISKS} are allowed")


def mounts(report):
    return json.loads("\n".join(report.lines("mounts")))["filesystems"]


def check_one_pool(report, source, others=()):
    """One mount of the pool, one of each directory, and no other use of a disk than others: mount points, swap."""
    targets = [m["target"] for m in mounts(report)]
    for target in ("/run/ccvm-scratch/pool", "/scratch", "/nix/.rw-store", "/nix/store"):
        check_equal(targets.count(target), 1, f"mounts on {target}")
    check_equal(report.mount("/run/ccvm-scratch/pool")["source"], source, "source of the pool")
    disks = {m["target"]: m["source"].split("[")[0] for m in mounts(report) if m["source"]}
    found = [t for t, s in disks.items() if re.match(r"/dev/(vd|dm-|mapper/)", s) and s != source]
    found += [os.path.basename(line.split()[0]) for line in report.lines("swaps")]
    check_equal(found, list(others), "mounts of disks, and swap")


def check_fault(report, reason, others=()):
    """The whole outcome of a fault: in time, in RAM, reported, and nothing else left."""
    check_degraded(report, reason)
    check_one_pool(report, "ccvm-scratch", others)
    check_equal(report.lines("keyring"), [], "keys left in keyrings")
    check_equal(report.lines("zram"), [], "devices for tags that are left")
    check_time(report)


def check_no_fault(report, size, **expected):
    """What looked like one, and the disk is used all the same."""
    check_encrypted(report, size, **expected)
    check_scratch(report, "ext4")
    check_overlay(report, "ext4")
    check_one_pool(report, SOURCE)
    check_equal(report.lines("keyring"), [], "keys left in keyrings")
    check_time(report)
