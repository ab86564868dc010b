# SPDX-License-Identifier: LGPL-2.1-or-later
"""Roots that mount and configure things of their own: either the pool is what a program gets, or it is told."""

import json

from cases import GIB, check_overlay, directory
from fault import FaultVM, before_root, program
from registry import case
from script import Script
from vm import Image, check, check_equal, check_missing

CHECK = "ccvm-scratch-check.service"
MISSING_ID = "8d2b2e5b0f6a4e0f9a2f0c0f4a6d7c31"

# What the root of somebody else has. The lower layer of the store comes from its fstab, and what it wants of us from its
# own config, which the initrd does not have.
FSTAB = """\
tmpfs /fstab tmpfs size=1M 0 0
tmpfs /home tmpfs mode=0755,x-initrd.mount 0 0
/dev/nowhere /absent ext4 nofail,x-systemd.device-timeout=2s 0 0
/nix/lower /nix/.ro-store none bind,x-initrd.mount 0 0
"""

CONFIG = """\
no line of a config file
[Scratch]
Mounts=/scratch:1777, /var/tmp, /tmp/x:0755, /home/dev/work:0750:1000:1000
Mounts=/scratch:1777, /var/tmp, /tmp/x:0755, /home/dev/work:0750:1000:1000, /fstab, /own, /link/x, /absent/x, /data:0700
FileSystem=xfs
"""

OWN_UNIT = """\
[Mount]
What=tmpfs
Where=/own
Type=tmpfs
[Install]
WantedBy=local-fs.target
"""

PREPARE_SCRIPT = """set -e
cd /sysroot
cp -a nix/.ro-store nix/lower
rm -rf nix/.ro-store
mkdir nix/.ro-store
cp -r /foreign/. etc
mkdir -p etc/systemd/system/local-fs.target.wants
ln -s ../own.mount etc/systemd/system/local-fs.target.wants/own.mount
ln -s /srv link
"""

# With /home of the fstab, and /tmp of the distribution: the system's own, each above something of ours.
PARENTS = "systemd.mount-extra=tmpfs:/var:tmpfs:mode=0755"

GOOD = ["/scratch", "/var/tmp", "/tmp/x", "/home/dev/work", "/link/x", "/data"]
BAD = ["/fstab", "/own", "/absent/x"]

SCRIPT = Script(
    ("there", f"""for m in {" ".join(GOOD)}; do
    echo mine >$m/mine; echo "$m $(stat -c '%a %u' $m) $([ -e /run/ccvm-scratch/pool$m/mine ] && echo pool)"; done"""),
    ("parents", "for m in /var /tmp /home; do findmnt -no FSTYPE $m; done"),
    ("yes", f'for m in {" ".join(GOOD)} /nix/store; do ccvm-scratch is-encrypted $m >/dev/null 2>&1; echo $?; done'),
    ("no", f'for m in {" ".join(BAD)} /var /nonexistent; do ccvm-scratch is-encrypted $m >/dev/null 2>&1; echo $?; done'),
    ("all", "ccvm-scratch is-encrypted; echo $?"),
    ("nobody", "su nobody -s /bin/sh -c 'ccvm-scratch is-encrypted /scratch; echo $?; ccvm-scratch status >/dev/null; echo $?'"),
    ("missing", f"journalctl -b -o json --no-pager MESSAGE_ID={MISSING_ID}"),
    ("warnings", "journalctl -b -o cat --no-pager -k -t ccvm-scratch-generator; dmesg | grep ccvm-scratch-generator"),
    ("unmounted", """umount /data; systemctl daemon-reload; findmnt -no TARGET /data; ccvm-scratch is-encrypted /data 2>&1; echo $?
ccvm-scratch status --json=short || true"""),
)


def files():
    made = program(*(f"/usr/bin/{name}" for name in ("dash", "cp", "rm", "mkdir", "ln")))
    made["/usr/bin/prepare-root"] = (PREPARE_SCRIPT.encode(), 0o755)
    made["/foreign/fstab"] = FSTAB.encode()
    made["/foreign/ccvm-scratch.conf"] = CONFIG.encode()
    made["/foreign/systemd/system/own.mount"] = OWN_UNIT.encode()
    return made | before_root("/usr/bin/dash /usr/bin/prepare-root")


@case(seconds=20)
def foreign_root():
    """Mounts above ours, in the place of ours, and below the store; and a config that the initrd has not seen."""
    image = Image(directory() / "disk", GIB)
    report = FaultVM("foreign-root", PARENTS, image.device(), SCRIPT, files()).run()
    # What lies on a disk that never comes cannot be mounted.
    check(CHECK in report.failed, f"failed units: {report.failed}")
    check_equal({u for u in report.failed if "scratch" in u}, {CHECK}, "failed units of ours")
    check_equal(report.status["state"], "encrypted", "state")
    check_overlay(report, "ext4")

    modes = ["1777 0", "1777 0", "755 0", "750 1000", "755 0", "700 0"]
    check_equal(report.lines("there"), [f"{m} {mode} pool" for m, mode in zip(GOOD, modes)], "what is on the pool")
    check_equal(report.lines("parents"), ["tmpfs"] * 3, "what is mounted above")
    check_missing(report, BAD)
    check_equal(report.lines("yes"), ["0"] * 7, "is-encrypted of what is on the pool")
    check_equal(report.lines("no"), ["3"] * 5, "is-encrypted of what is not")
    check_equal(report.lines("all")[-1], "3", "is-encrypted of all")
    check_equal(report.lines("nobody")[-2:], ["0", "3"], "is-encrypted and status for anybody")
    (entry,) = [json.loads(line) for line in report.lines("missing")]
    check_equal(entry["CCVM_MISSING"], " ".join(BAD), "what the journal names")
    check_warnings("\n".join(report.lines("warnings")))
    *_, answer, text = report.lines("unmounted")
    check_equal(answer, "3", "is-encrypted of what was unmounted")
    check_equal(report.lines("unmounted")[0], "'/data' is not on the scratch pool", "a reload mounts it again")
    check_equal(json.loads(text)["missing"], [*BAD, "/data"], "missing then")


def check_warnings(text):
    for warning in (
        "/etc/ccvm-scratch.conf:1: no '='",
        "/etc/fstab mounts '/fstab'",
        "'/etc/systemd/system/own.mount' is there",
        "Not taken: FileSystem=xfs (The system's configuration: comes too late",
    ):
        check(warning in text, f"no warning of {warning!r}: {text}")


@case
def missing_and_fail():
    """Fallback=fail: who must not run without the disk must not run beside it either."""
    image = Image(directory() / "disk", GIB)
    vm = FaultVM("missing-and-fail", "ccvm.fallback=fail systemd.mount-extra=tmpfs:/scratch", image.device())
    report = vm.start().wait()
    check_equal(report.text, "", "what a guest said that should not have come so far")
    console = vm.console.read_text(errors="replace")
    check("mounts missing" in console, f"the reason is not on the console, see {vm.console}")
