# SPDX-License-Identifier: LGPL-2.1-or-later
"""What costs itself and nothing else: a bad entry, a file in the image, a mount that comes late; and what does not."""

import json
import subprocess

from cases import GIB, LUKS, MIB, directory
from fault import FaultVM, before_root, program
from registry import case
from script import Script
from vm import Image, check, check_equal

# What container engines leave in an image that is made from theirs, and a disk that is there in its own time.
# In what systemd takes for a container services get no credentials: the script goes another way.
PREPARE_SCRIPT = """set -e
cp /run/credentials/@system/ccvm.test /run/ccvm.test
cd /sysroot
mkdir -p etc/systemd/system/ccvm-report.service.d
cp /late/report.conf etc/systemd/system/ccvm-report.service.d
: >.dockerenv
mkdir -p data etc/systemd/system/data.mount.d
cp /late/fstab etc/fstab
cp /late/slow.conf etc/systemd/system/data.mount.d
cp /late/slow.service etc/systemd/system
"""

SLOW = """[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
ExecStart=/bin/sleep 5
"""

MOUNTS = '"ccvm.mounts=/scratch:1777 /srv/ü /data/scratch"'

# When there is nothing left to wait for.
SCRIPT = Script(
    (None, "while systemctl list-jobs --plain --no-legend | grep -qE 'data|ccvm-scratch-check.service'; do sleep 0.2; done"),
    ("virt", "systemd-detect-virt --container"),
    ("late", "ccvm-scratch status --json=short"),
    ("exit", "ccvm-scratch status >/dev/null; echo $?"),
    ("parent", "findmnt -no FSTYPE,SOURCE /data"),
    ("check", "systemctl show ccvm-scratch-check.service -P Result"),
    ("yes", "for m in /scratch /data/scratch; do ccvm-scratch is-encrypted $m; echo $?; done"),
    ("all", "ccvm-scratch is-encrypted 2>&1; echo $?"),
    ("text", "ccvm-scratch status | sed -n 's/^ *Refused: //p'"),
)


def files():
    made = program(*(f"/usr/bin/{name}" for name in ("dash", "cp", "mkdir")))
    made["/usr/bin/prepare-root"] = (PREPARE_SCRIPT.encode(), 0o755)
    made["/late/fstab"] = b"LABEL=data /data ext4 nofail 0 2\n"
    made["/late/slow.conf"] = b"[Unit]\nWants=slow.service\nAfter=slow.service\n"
    made["/late/slow.service"] = SLOW.encode()
    made["/late/report.conf"] = b"[Service]\nLoadCredential=\nExecStart=\nExecStart=/bin/sh /run/ccvm.test\n"
    return made | before_root("/usr/bin/dash /usr/bin/prepare-root")


@case(seconds=25)
def refused():
    """Fallback=fail, /.dockerenv in the image, a mount below a slow nofail line: all are waited for, one entry is refused."""
    image, data = Image(directory() / "disk", GIB), Image(directory() / "data", 64 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-L", "data", data.path], check=True)
    devices = image.device() + data.device(1, "data")
    report = FaultVM("refused", f"ccvm.fallback=fail {MOUNTS}", devices, SCRIPT, files()).run()
    check_equal(report.lines("virt"), ["docker"], "what systemd takes it for")
    check_equal(report.status["state"], "encrypted", "state")
    check_equal(report.lines("parent")[0].split()[0], "ext4", "what is above")
    now = json.loads(report.line("late"))
    name = "/srv/\\xc3\\xbc"
    check_equal(now["missing"], [name], "missing mounts")
    check_equal([(r["key"], r["value"]) for r in now["refused"]], [("Mounts", name)], "what was refused")
    check(report.line("text").startswith(f"Mounts={name} (Kernel command line: "), f"status: {report.lines('text')}")
    check_equal(report.line("exit"), "3", "exit of status")
    check_equal(report.line("check"), "success", "result of the check")
    check_equal(report.lines("yes"), ["0", "0"], "is-encrypted of what is on the pool")
    check_equal(report.lines("all")[-1], "3", "is-encrypted of all that was asked for")


@case
def masked_and_fail():
    """Fallback=fail, and nobody sets the pool up or says why not: that is a failure too."""
    append = f"ccvm.fallback=fail rd.systemd.mask={LUKS} systemd.mask={LUKS}"
    vm = FaultVM("masked-and-fail", append, Image(directory() / "disk", GIB).device())
    report = vm.start().wait()
    check_equal(report.text, "", "what a guest said that should not have come so far")
    console = vm.console.read_text(errors="replace")
    check("no encrypted scratch disk (no status)" in console, f"the reason is not on the console, see {vm.console}")
