# SPDX-License-Identifier: LGPL-2.1-or-later
"""ccvm-scratch renew: the pool of a running system once more, empty and under a new key."""

import json

from cases import GIB, directory
from fault import FaultVM, check_encrypted
from registry import case
from script import Script
from vm import Image, check, check_equal

# Seconds of guest time, from the command's start to its end.
BOUND = 1

MOUNTS = "ccvm.nix=no ccvm.mounts=/scratch:1777,/var/tmp,/srv/cache:0750:0:100:noexec"

# What is so of the pool now, under a name.
LOOK = Script((None, r"""
look() {
    section "$1"; ccvm-scratch status --json=short; ccvm-scratch is-encrypted; echo $?
    section "$1-mounts"; for m in /scratch /var/tmp /srv/cache; do echo $m $(stat -c '%a %g' $m) $(findmnt -nro FSTYPE,OPTIONS $m | cut -d, -f1-4) $(findmnt -nro TARGET $m | wc -l) $(ls $m | tr '\n' ' '); done
    section "$1-pool"; findmnt -nro TARGET,SOURCE /run/ccvm-scratch/pool; ls -A /run/ccvm-scratch/pool
    section "$1-table"; dmsetup ls; dmsetup table | grep -c ' crypt '
    section "$1-failed"; systemctl list-units --failed --plain --no-legend | cut -d' ' -f1
    section "$1-keys"; grep cryptsetup /proc/keys
}
renew() { ccvm-scratch renew "$@" </dev/null 2>&1; echo $?; }
fill() { for m in /scratch /var/tmp /srv/cache; do echo canary >$m/old; done; sync; }"""))


def check_pool(report, name, state="encrypted", reason=None, inside=()):
    """One pool, at all its places, with nothing but inside in it."""
    status, *rest = [line for line in report.lines(name) if line[0] in "{0123456789"]
    status = json.loads(status)
    check_equal([status["state"], status["reason"]], [state, reason], f"{name}: state and reason")
    check_equal(status["missing"], [], f"{name}: missing mounts")
    check_equal(rest, ["0" if (state, reason) == ("encrypted", None) else "3"], f"{name}: is-encrypted")
    kind = "ext4" if state == "encrypted" else "tmpfs"
    expected = [
        f"/scratch 1777 0 {kind} rw,nosuid,nodev",
        f"/var/tmp 1777 0 {kind} rw,nosuid,nodev",
        f"/srv/cache 750 100 {kind} rw,nosuid,nodev",
    ]
    for line, start in zip(report.lines(f"{name}-mounts"), expected):
        check(line.startswith(start), f"{name}: {start} is {line}")
        # /var/tmp has what systemd-tmpfiles makes there.
        words = [word for word in line[len(start) :].split()[1:] if not word.startswith("systemd-private-")]
        check_equal(words, ["1", *inside], f"{name}: mounts, and what is there ({line})")
    return status


def check_clean(report, name, mappings=1):
    check_equal(len(report.lines(f"{name}-table")), mappings + 1, f"{name}: mappings ({report.lines(f'{name}-table')})")
    check_equal(report.lines(f"{name}-table")[-1], "1", f"{name}: crypt targets")
    check_equal(report.lines(f"{name}-failed"), [], f"{name}: failed units")
    check_equal(report.lines(f"{name}-keys"), [], f"{name}: keys in keyrings")


SCRIPT = LOOK + Script(
    (None, """# A service that does not use it, in a mount namespace of its own.
systemd-run -q --unit=sandboxed -p ProtectSystem=strict -p ReadOnlyPaths=/srv sleep infinity
rm -f /scratch/mine; fill; look before"""),
    ("idle", "renew"),
    ("took", """cut -d' ' -f1 /proc/uptime; renew --yes; cut -d' ' -f1 /proc/uptime
look renewed
fill
exec 7</scratch/old
unshare -m --propagation private sleep infinity & private=$!
until [ "$(readlink /proc/$private/ns/mnt)" != "$(readlink /proc/self/ns/mnt)" ]; do sleep 0.1; done
mkdir /run/other; mount --bind /scratch /run/other
truncate -s 1M /scratch/file; loop=$(losetup -f --show /scratch/file)
mkdir /run/lower /run/merged /scratch/up /scratch/work
mount -t overlay -o lowerdir=/run/lower,upperdir=/scratch/up,workdir=/scratch/work overlay /run/merged"""),
    ("refused", "touch /run/ccvm-scratch/force; renew --yes # as a killed renew --force leaves it"),
    ("refused-service", """systemctl start ccvm-scratch-renew.service 2>/dev/null; echo $?
journalctl -b -o cat -u ccvm-scratch-renew.service | grep -c 'is in use, and stays'
systemctl reset-failed
umount /run/merged /run/other; losetup -d $loop; rm -r /scratch/file /scratch/up /scratch/work
look kept
# Somebody has unmounted the pool itself.
umount /run/ccvm-scratch/pool"""),
    ("force", "renew --force"),
    ("after", """cat <&7 2>&1
look forced
exec 7<&-; kill $private; wait $private 2>/dev/null
until ! dmsetup ls | grep -q old; do sleep 0.1; done
look released
# Once more, and wipe finds the others all the same: what it left would not be replaced.
umount /run/ccvm-scratch/pool"""),
    ("wipe", """ccvm-scratch wipe --yes; echo $?; renew --yes
look wiped
fill
# The disk works, and what makes its file system does not, or does not end.
mount --bind /usr/bin/false /usr/sbin/mkfs.ext4"""),
    ("failing", """renew --yes
systemctl reset-failed
look fallen
fill
umount /usr/sbin/mkfs.ext4"""),
    ("back", r"""renew --yes
look again
fill
printf '#!/bin/sh\nsleep 100\n' >/run/slow; chmod +x /run/slow; mount --bind /run/slow /usr/sbin/mkfs.ext4"""),
    ("slow", """renew --yes
systemctl reset-failed
look late
umount /usr/sbin/mkfs.ext4
umount /srv/cache; mount --bind /run/lower /srv/cache"""),
    ("over", """renew --yes
look last"""),
    ("units", "systemctl is-active ccvm-scratch-health.timer ccvm-scratch-shutdown.service sandboxed.service scratch.mount"),
    ("files", "ls /run/ccvm-scratch"),
)

USERS = [
    "'/run/other' is a mount of the pool.",
    "'/run/merged' is an overlay of the pool.",
    "'/scratch' is a mount of the pool in the namespace of sleep",
    "'/scratch/old' is used by sh",
    "'/scratch/file' is used by a loop device.",
]


@case(seconds=60, quick=True, counted=True, oldstable=True)
def renew():
    """Also after a wipe and from the fallback; who uses it is named; and what fails on the way ends in the fallback."""
    image = Image(directory() / "disk", 20 * GIB)
    report = FaultVM("renew", f"{MOUNTS} ccvm.setup_timeout=2", image.device(), SCRIPT, counted=True).run()
    check_encrypted(report, 20 * GIB)
    first = check_pool(report, "before", inside=["old"])
    check_equal(report.lines("idle")[1:], ["2"], "renew without --yes")
    start, status, end = report.lines("took")
    check_equal(status, "0", "renew")
    print(f"# renewed in {float(end) - float(start):.2f} s of guest time")
    check(float(end) - float(start) < BOUND, f"renew took from {start} to {end} s of guest time")
    second = check_pool(report, "renewed")
    check_clean(report, "renewed")
    check(first["uuid"] != second["uuid"], "the same UUID after the renewal")

    *named, verdict = report.lines("refused")
    check_equal(verdict, "1", "renew of a pool in use")
    for user in USERS:
        check(any(user in line for line in named), f"renew does not say: {user} ({named})")
    check(not any("sandboxed" in line for line in named), f"a service that does not use the pool: {named}")
    check_equal(report.lines("refused-service"), ["1", "2"], "the service, and its refusals")
    check_equal(check_pool(report, "kept", inside=["old"])["uuid"], second["uuid"], "UUID after a refusal")

    check_equal(report.lines("force"), ["0"], "renew --force")
    check("error" in report.line("after"), f"a file of the old pool can be read: {report.line('after')}")
    check_pool(report, "forced")
    check_clean(report, "forced", 2)
    check_pool(report, "released")
    check_clean(report, "released")
    check_equal(report.lines("wipe"), ["0", "0"], "wipe, and renew")
    check_pool(report, "wiped")
    check_clean(report, "wiped")

    for name, look, reason in (("failing", "fallen", "mkfs"), ("slow", "late", "timeout")):
        check_equal(report.lines(name)[-1], "1", f"renew, {name}")
        check(any("the state is tmpfs" in line for line in report.lines(name)), f"{name}: {report.lines(name)}")
        check_pool(report, look, "tmpfs", reason)
    check_equal(report.lines("back"), ["0"], "renew from the fallback")
    check_pool(report, "again")
    check_clean(report, "again")
    # What somebody else has mounted there is not touched, and told of.
    check_equal(json.loads(report.lines("last")[0])["missing"], ["/srv/cache"], "missing mounts")
    check_clean(report, "last")
    check_equal(report.lines("units"), ["active"] * 4, "units that go on")
    # A disk of a busy host is slow to discard: what is left for later has a note.
    files = [name for name in report.lines("files") if name != "free"]
    check_equal(files, ["attempted", "config", "lock", "made", "mapping", "pool", "status.json"], "files in /run/ccvm-scratch")
