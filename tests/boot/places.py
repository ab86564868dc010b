# SPDX-License-Identifier: LGPL-2.1-or-later
"""Mount points that links and users lead elsewhere; and what a program gets there while a pool is replaced."""

import json

from cases import GIB, check_encrypted, directory, plug
from fault import FaultVM, before_root, program
from hotplug import AFTER, HOTPLUG, PLUG
from registry import case
from script import AGAIN, Script
from vm import Image, check, check_equal

# In the initrd: what the image is, as ostree has it, and whose directory the user's is.
PREPARE_SCRIPT = """set -e
cd /sysroot
rm -rf mnt opt
mkdir -p var/mnt var/opt home/agent/a
ln -s var/mnt mnt
ln -s /var/opt opt
chown 1000:1000 home/agent home/agent/a
"""


def files(more=""):
    made = program(*(f"/usr/bin/{name}" for name in ("dash", "rm", "mkdir", "ln", "chown")))
    made["/usr/bin/prepare-root"] = ((PREPARE_SCRIPT + more).encode(), 0o755)
    return made | before_root("/usr/bin/dash /usr/bin/prepare-root")


LOOK = Script((None, r"""
agent() { setpriv --reuid=1000 --regid=1000 --clear-groups "$@"; }
renew() { ccvm-scratch renew "$@" </dev/null 2>&1; echo $?; }
look() {
    section "$1"; ccvm-scratch status --json=short
    section "$1-places"; for m in /scratch /var/tmp /var/mnt/work /var/opt/x /home/agent/a/b /home/agent/work; do
        [ -z "$(findmnt -no TARGET "$m")" ] || echo $m $(stat -c '%a %u' $m) $(findmnt -nro FSTYPE,OPTIONS $m | cut -d, -f1-4); done
    section "$1-etc"; findmnt /etc; stat -c %u /etc
    section "$1-mappings"; dmsetup ls | cut -f1
}"""))

SCRIPT = LOOK + Script(
    (None, "look boot"),
    ("units", "systemctl is-active var-mnt-work.mount var-opt-x.mount"),
    (None, "private() { systemd-run -q --unit=private -p Type=exec -p PrivateTmp=yes sleep infinity; }"),
    (None, "private; pid=$(systemctl show -P MainPID private.service)"),
    ("private", """systemctl is-active private.service
nsenter -t $pid -m findmnt -nro FSROOT /var/tmp | tail -n 1 | grep -c systemd-private"""),
    ("idle", "renew --yes"),
    ("service", """nsenter -t $pid -m sh -c ': >/var/tmp/new && ls /var/tmp'
ls /var/tmp/systemd-private-*-private.service-*/tmp
systemctl stop private.service; private; ls -d /var/tmp/systemd-private-*-private.service-* | wc -l"""),
    (None, "look renewed\nsystemd-run -q --unit=user sh -c 'exec sleep infinity </scratch'"),
    ("used", "renew --yes; systemctl stop user.service"),
    # Before Linux 6.5 its private mount stays, with a mapping for each renewal, until it stops.
    (None, "case $(uname -r) in 5.* | 6.[0-4].*) systemctl stop private.service ;; esac"),
    # Who goes on writing, whatever it gets.
    (None, "(n=0; while :; do true >/scratch/w$n; true >/var/mnt/work/w$n; n=$((n + 1)); done) 2>/dev/null & writer=$!"),
    ("several", "for i in $(seq 5); do renew --force; done"),
    (None, "mount --bind /usr/bin/false /usr/sbin/mkfs.ext4"),
    ("failing", "renew --force"),
    (None, "look fallen\numount /usr/sbin/mkfs.ext4; systemctl reset-failed"),
    ("back", "renew --force"),
    (None, "kill $writer; wait $writer 2>/dev/null\nmkdir /run/root; mount --bind / /run/root"),
    ("below", "find /run/root/scratch /run/root/var/mnt/work -name 'w[0-9]*' | wc -l; umount /run/root"),
    # The name leads to /etc now, and the old mount is where the directory went.
    (None, "agent mv /home/agent/a /home/agent/old; agent mkdir /home/agent/a; agent ln -s /etc /home/agent/a/b"),
    ("moved", """renew --yes; renew --force
journalctl -b -o cat -u ccvm-scratch-renew.service | grep -c 'is not mounted: on its way is a link'"""),
    (None, "look bent"),
    # An empty directory may be read from memory.
    ("old", "echo 3 >/proc/sys/vm/drop_caches; ls /home/agent/old/b 2>&1; touch /home/agent/old/b/new 2>&1"),
    (None, "umount /home/agent/old/b; rm /home/agent/a/b"),
    ("straight", "renew --yes"),
    (None, "look last"),
)

MOUNTS = "ccvm.nix=no ccvm.mounts=/scratch:1777,/var/tmp,/mnt/work,/opt/x:0750:0:0:noexec,/home/agent/a/b:0755:1000:1000"


def check_places(report, name, places, missing=(), kind="ext4"):
    check_equal(json.loads(report.line(name))["missing"], list(missing), f"{name}: missing mounts")
    expected = [f"{path} {mode} {kind} rw,nosuid,nodev" for path, mode in places.items()]
    for line, start in zip(report.lines(f"{name}-places"), expected, strict=True):
        check(line.startswith(start), f"{name}: {start} is {line}")
    check_equal(report.lines(f"{name}-etc"), ["0"], f"{name}: what is mounted on /etc, and whose it is")


@case(seconds=60)
def places():
    """Where links of root's lead; in no renewal does anything land below the pool, nor where a user leads it."""
    image = Image(directory() / "disk", GIB)
    report = FaultVM("places", MOUNTS, image.device(), SCRIPT, files()).run()
    check_encrypted(report, GIB)
    all_of_them = {
        "/scratch": "1777 0",
        "/var/tmp": "1777 0",
        "/var/mnt/work": "755 0",
        "/var/opt/x": "750 0",
        "/home/agent/a/b": "755 1000",
    }
    check_places(report, "boot", all_of_them)
    check("noexec" in report.lines("boot-places")[3], "options of /var/opt/x")
    check_equal(report.lines("units"), ["active"] * 2, "units of where the links lead")

    check_equal(report.lines("private"), ["active", "1"], "a service, and its private /var/tmp")
    check_equal(report.lines("idle"), ["0"], "renew beside it")
    check_equal(report.lines("service"), ["new", "new", "1"], "its private /var/tmp on the new pool")
    check_places(report, "renewed", all_of_them)
    check_equal(report.lines("renewed-mappings"), ["ccvm-scratch"], "mappings after a renewal beside it")
    named = report.lines("used")
    check(any("of user.service)" in line for line in named), f"the unit that uses the pool: {named}")
    check(any("'systemctl stop user.service' ends" in line for line in named), f"what to do about it: {named}")
    check_equal(named[-1], "1", "renew of a pool that a unit uses")

    check_equal(report.lines("several"), ["0"] * 5, "renewals beside a writer")
    check_equal(report.lines("failing")[-1], "1", "one that fails")
    check_places(report, "fallen", all_of_them, kind="tmpfs")
    check_equal(report.lines("fallen-mappings"), ["No devices found"], "mappings then")
    check_equal(report.lines("back"), ["0"], "and back")
    check_equal(report.line("below"), "0", "files of the writer on the root file system")

    *named, refused, forced, lines = report.lines("moved")
    check_equal([refused, forced, lines], ["1", "0", "1"], "renew with a directory moved, with --force, and its line")
    check(any("'/home/agent/old/b' is a mount of the pool" in line for line in named), f"what is in the way: {named}")
    but_one = {path: mode for path, mode in all_of_them.items() if path != "/home/agent/a/b"}
    check_places(report, "bent", but_one, ["/home/agent/a/b"])
    old = report.lines("old")
    check(old and all("error" in line for line in old), f"the old pool can be used: {old}")
    check_equal(report.lines("straight"), ["0"], "renew when all is straight again")
    check_places(report, "last", all_of_them)


BENT = LOOK + Script((None, "agent ln -s /etc /home/agent/work")) + PLUG + AFTER + AGAIN + Script(
    (None, "look plugged"),
    ("encrypted", "ccvm-scratch is-encrypted --quiet; echo $?; ccvm-scratch is-encrypted /scratch /mnt/work; echo $?"),
    ("refused", """journalctl -b -o cat -u ccvm-scratch-luks.service |
    grep -c "'/home/agent/work' is not mounted: on its way is a link" """),
    ("renew", "renew --yes"),
    (None, "look renewed\nagent rm /home/agent/work"),
    ("straight", "renew --yes"),
    (None, "look last"),
)  # fmt: skip


@case(seconds=30)
def hotplug_bent():
    """What a user makes in the way of a mount point, before the disk is plugged, leads nowhere."""
    image = Image(directory() / "disk", GIB)
    mounts = f"{HOTPLUG} ccvm.mounts=/scratch:1777,/mnt/work,/home/agent/work:0755:1000:1000"
    report = FaultVM("hotplug-bent", mounts, image.backend(), BENT, files(), meanwhile=plug(0)).run()
    check_equal(report.status["state"], "encrypted", "state")
    there = {"/scratch": "1777 0", "/var/mnt/work": "755 0"}
    for name in "plugged", "renewed":
        check_places(report, name, there, ["/home/agent/work"])
    check_equal(report.lines("encrypted"), ["3", "0"], "is-encrypted of all, and of what is mounted")
    check_equal(report.line("refused"), "1", "the line in the journal")
    check_equal(report.lines("renew"), ["0"], "renew")
    check_equal(report.lines("straight"), ["0"], "renew without the link")
    check_places(report, "last", there | {"/home/agent/work": "755 1000"})


HALF = LOOK + Script(
    (None, "look boot"),
    ("busy", """exec 7</dev/$(cat /run/ccvm-scratch/tags); ccvm-scratch wipe --yes; echo $?; exec 7<&-
ccvm-scratch status --json=short; dmsetup ls; findmnt /scratch"""),
    ("again", "ccvm-scratch wipe --yes; echo $?; ls /run/ccvm-scratch/tags 2>&1 || true"),
)


@case(seconds=30)
def root_without_generator():
    """What is a link below /sysroot is one for the initrd too. And a wipe that comes half the way says which half."""
    image = Image(directory() / "disk", GIB)
    remove = "rm usr/lib/systemd/system-generators/ccvm-scratch-generator\n"
    append = "ccvm.nix=no ccvm.integrity=hmac-sha256 ccvm.mounts=/scratch:1777,/mnt/work,/opt/x:0750:0:0:noexec"
    report = FaultVM("root-without-generator", append, image.device(), HALF, files(remove)).run()
    check_equal(report.status["state"], "encrypted", "state")
    check_places(report, "boot", {"/scratch": "1777 0", "/var/mnt/work": "755 0", "/var/opt/x": "750 0"})
    check("noexec" in report.lines("boot-places")[2], "options of /var/opt/x")

    said, code, status, *left = report.lines("busy")
    status = json.loads(status)
    check_equal([code, status["state"], status["reason"], left], ["1", "none", "wiped", ["No devices found"]], "half a wipe")
    check(status["detail"] in said, f"which half: {said}, and the status has {status['detail']}")
    check("The key is destroyed, and the tags are not all removed" in said, f"which half: {said}")
    again, tags = report.lines("again")
    check_equal(again, "0", "the other half")
    check("No such file" in tags, f"tags: {tags}")
