# SPDX-License-Identifier: LGPL-2.1-or-later
"""Integrity=hmac-sha256: what a host can do to the data of a guest that has the tags."""

import os
import subprocess
import threading

from cases import DISK, GIB, LUKS, MIB, OVERLAY_SCRIPT, check_outcome, check_overlay, check_scratch, directory
from registry import case
from script import AGAIN, Script
from vm import VM, Image, check, check_equal

AUTHENTICATED = "ccvm.integrity=hmac-sha256"
SECTOR = 4096

TAGS_SCRIPT = Script(
    (None, "tags=/sys/block/$(cat /run/ccvm-scratch/tags)"),
    ("tags", "basename $tags; cat $tags/dev"),
    ("zram", "(cd /sys/block && ls -d zram*)"),
    ("hash", "grep -A1 '^name.*hmac(sha256)' /proc/crypto | grep -o 'sha256-[^)]*'; grep -m1 -ow sha_ni /proc/cpuinfo"),
)


def check_authenticated(report, size, fs_type="ext4", reports=1, limited=False):
    """The tables of both layers, as the kernel has them; limited: size is a part of the disk."""
    check_outcome(report, "encrypted", reports=reports)
    status = report.status
    wanted = {
        "cipher": "aes-xts-plain64", "keySize": 512, "sectorSize": SECTOR, "keyslots": 0, "sizeBytes": size,
        "header": "ram", "integrity": "hmac-sha256", "fsType": fs_type,
    }
    check_equal({key: status[key] for key in wanted}, wanted, "status")
    tables = {line.split(":")[0]: line.split()[1:] for line in report.lines("table")}
    part = {"ccvm-scratch_dif_part"} if limited else set()
    check_equal(set(tables), {"ccvm-scratch", "ccvm-scratch_dif"} | part, "mappings")
    upper, lower = tables["ccvm-scratch"], tables["ccvm-scratch_dif"]
    check_equal(upper[:4] + upper[7:8], ["0", str(size // 512), "crypt", "aes-xts-plain64", "0"], "dm-crypt")
    check_equal(lower[:3] + lower[4:7], ["0", str(size // 512), "integrity", "0", "16", "D"], "dm-integrity")
    name, number = report.lines("tags")
    options = {f"meta_device:{number}", f"block_size:{SECTOR}", "allow_discards", "internal_hash:hmac(sha256):KEY"}
    check(options <= set(lower[8:]), f"not all of {options} are in {lower}")
    # What zram-generator(8) has in its examples stays free.
    check_equal(report.lines("zram"), ["zram0", name], "zram devices: the kernel's first one, and ours")
    check(name != "zram1", "the tags are in zram1")
    driver, flag = report.lines("hash")
    # Linux 7 has one driver, which takes what the CPU has.
    check(driver in ("sha256-ni", "sha256-lib") and flag == "sha_ni", f"how the CPU hashes: {driver}, {flag}")


COPY_SCRIPT = Script(
    ("copies", """# Several at once, and from a cold cache.
for i in 1 2 3 4; do (mkdir /scratch/copy$i && cp -r /usr/lib/udev /usr/lib/systemd/system /scratch/copy$i) & done; wait
sync; echo 3 >/proc/sys/vm/drop_caches
for i in 1 2 3 4; do
    diff -r /usr/lib/udev /scratch/copy$i/udev &&
        diff -r --no-dereference /usr/lib/systemd/system /scratch/copy$i/system && echo same
done"""),
    ("errors", """journalctl -b -k -p err -o cat --no-pager | grep -iE 'i/o error|integrity|checksum|ext4' || true
ask idle"""),
)

WIPED_SCRIPT = Script(("wiped", "ccvm-scratch wipe --yes; echo $?; dmsetup table; (cd /sys/block && ls -d zram*); ls /run/ccvm-scratch"))

INTEGRITY_SCRIPT = TAGS_SCRIPT + OVERLAY_SCRIPT + COPY_SCRIPT + WIPED_SCRIPT


@case(seconds=35, quick=True, oldstable=True)
def integrity():
    """Nothing is wiped: what was never written can be read, and takes neither the host's disk nor RAM.

    The RAM has room for the tags of a part of the disk. In the end all is taken away.
    """
    image = Image(directory() / "disk", 100 * GIB)
    vm = VM("integrity", f"{DISK} {AUTHENTICATED} ccvm.nix=overlay", image.device(), INTEGRITY_SCRIPT).start()
    vm.hear("idle")
    allocated = image.allocated()
    vm.host.write("go")
    report = vm.wait()
    size = report.status["sizeBytes"]
    check(50 * GIB < size < 75 * GIB and size % MIB == 0, f"{size} bytes of 100 GiB are used with 1 GiB of RAM")
    check_authenticated(report, size, limited=True)
    check(f"{size // MIB} MiB" in report.status["detail"], f"detail: {report.status['detail']}")
    check_scratch(report, "ext4")
    check_overlay(report, "ext4")
    check_equal(report.lines("copies"), ["same"] * 4, "four copies of a tree")
    check_equal(report.lines("errors"), [], "errors of the kernel")
    check(allocated < 256 * MIB, f"{allocated} bytes are allocated on the host")
    tags = report.now["tagBytes"]
    check(0 < tags < 2 * MIB, f"tags of an empty disk take {tags} bytes of RAM")
    wiped = report.lines("wiped")
    # The overlay of the store stays mounted, on what is only errors now.
    check_equal(wiped[:3], ["0", f"ccvm-scratch: 0 {size // 512} error ", "zram0"], "a wipe")
    check("tags" not in wiped, f"left in /run/ccvm-scratch: {wiped}")


FILES = ("data", "swapped", "other", "zeros", "flipped", "trimmed")

# Locations are bytes of the mapping, which with a header in RAM is all of the disk.
REPLAY_SCRIPT = Script(
    (None, """files="data swapped other zeros flipped trimmed" mapping=/dev/mapper/ccvm-scratch
where() {
    extent=$(filefrag -v -b512 "$1" | awk '$1 == "0:" { print $4 + 0 }')
    if [ "$(findmnt -no FSTYPE /scratch)" = btrfs ]; then
        btrfs-map-logical -l $((extent * 512)) $mapping | awk '{ print $6; exit }'
    else
        echo $((extent * 512))
    fi
}
locations() { for f in $files; do printf '%s ' "$(where /scratch/t/$f)"; done; echo; }
write() { for f in $files; do dd if=/tmp/$f.$1 of=/scratch/t/$f bs=4k conv=notrunc,fsync status=none; done; sync; }
# A file's content is the first, the second, neither, or an error.
judge() {
    echo 3 >/proc/sys/vm/drop_caches
    for f in $files; do
        if ! cat /scratch/t/$f >/tmp/got 2>/dev/null; then echo $f error
        elif cmp -s /tmp/got /tmp/$f.A; then echo $f A
        elif cmp -s /tmp/got /tmp/$f.B; then echo $f B
        else echo $f noise; fi
    done
}
mkdir /scratch/t; chattr +C /scratch/t 2>/dev/null
for f in $files; do for c in A B; do head -c 4096 /dev/urandom >/tmp/$f.$c; done; done
write A"""),
    ("before", """judge
ask "A $(locations)"
write B
# The last one is discarded and written again.
blkdiscard -f -o "$(where /scratch/t/trimmed)" -l 4096 $mapping 2>/dev/null || echo not discarded
write B
i=0; while [ $i -lt 100 ]; do echo $i >/scratch/t/new$i; i=$((i + 1)); done; sync"""),
    ("after", """judge
ask "B $(locations)"
"""),
    ("sectors", """judge
ask metadata; sectors=$answer"""),
    ("metadata", """echo 3 >/proc/sys/vm/drop_caches
for s in $sectors; do
    dd if=$mapping bs=4096 skip=$s count=1 iflag=direct of=/dev/null 2>/dev/null && echo readable || echo error
done
ls -lR /scratch/t >/tmp/list 2>&1; echo listed
ask image"""),
    ("image", "judge"),
    ("health", """systemctl start ccvm-scratch-health.service; ccvm-scratch status --json=short | grep -o '"health":"[^"]*"'"""),
    ("crash", "journalctl -b -k -o cat --no-pager | grep -E 'BUG:|Oops|general protection|Kernel panic' || true"),
    ("mismatches", "dmsetup status ccvm-scratch_dif | awk '{ print $4 }'"),
)


def copy(path):
    """A second file with what the first has now."""
    other = path.with_name(path.name + ".copy")
    subprocess.run(["cp", "--sparse=always", path, other], check=True)
    return other


def changed(path, other):
    """The numbers of the sectors in which two files differ."""
    found = []
    with open(path, "rb") as a, open(other, "rb") as b:
        for start in range(0, path.stat().st_size, MIB):
            first, second = a.read(MIB), b.read(MIB)
            if first == second:
                continue
            for at in range(0, MIB, SECTOR):
                if first[at : at + SECTOR] != second[at : at + SECTOR]:
                    found.append((start + at) // SECTOR)
    return found


class Sectors:
    """Those of an image that is open for the host's own use."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR)

    def __getitem__(self, number):
        return os.pread(self.fd, SECTOR, number * SECTOR)

    def __setitem__(self, number, data):
        os.pwrite(self.fd, data, number * SECTOR)


def attack_files(now, then, at):
    """One sector of each file; the last is discarded and rewritten by then."""
    now[at["data"]] = then[at["data"]]
    now[at["swapped"]], now[at["other"]] = now[at["other"]], now[at["swapped"]]
    now[at["zeros"]] = bytes(SECTOR)
    sector = bytearray(now[at["flipped"]])
    sector[SECTOR // 2] ^= 1
    now[at["flipped"]] = sector
    now[at["trimmed"]] = then[at["trimmed"]]


def hear_locations(vm, word):
    words = vm.host.read().split()
    check_equal([words[0], len(words)], [word, len(FILES) + 1], f"what the guest says ({words})")
    return [int(w) // SECTOR for w in words[1:]]


def attacked(name, options, image, script=Script()):
    """The boot: sectors of files are attacked, then all metadata that has changed, then the image is put back."""
    vm = VM(name, f"{DISK} ccvm.header=ram {options}", image.device(), TAGS_SCRIPT + REPLAY_SCRIPT + script)
    vm.start()
    before = hear_locations(vm, "A")
    old = copy(image.path)
    vm.host.write("go")
    after = hear_locations(vm, "B")
    check_equal(after, before, "where the files are")
    now, then = Sectors(image.path), Sectors(old)
    metadata = [sector for sector in changed(image.path, old) if sector not in after]
    check(metadata, "no metadata has changed")
    attack_files(now, then, dict(zip(FILES, after)))
    vm.host.write("go")
    vm.hear("metadata")
    for sector in metadata:
        now[sector] = then[sector]
    vm.host.write(" ".join(map(str, metadata[:64])))
    vm.hear("image")
    for sector in changed(image.path, old):
        now[sector] = then[sector]
    vm.host.write("go")
    report = vm.wait()
    check_equal(report.lines("before"), [f"{f} A" for f in FILES], "the files as they were written first")
    check_equal(report.lines("after"), [f"{f} B" for f in FILES], "the files as they were written last")
    check_equal(report.lines("crash"), [], "what the kernel says")
    print(f"# {len(metadata)} sectors of metadata; the end: {report.line('health')} {report.lines('image')}")
    return report


# On the image as the host has put it back.
PLANTED = Script(("renew", "ccvm-scratch renew --force >/dev/null 2>&1; echo $?")) + AGAIN + TAGS_SCRIPT + Script(("planted", "ls -A /scratch"))


def replay_on(fs_type, script=Script()):
    image = Image(directory() / "disk", GIB // 2)
    name = "replay" if fs_type == "ext4" else f"replay-{fs_type}"
    report = attacked(name, f"{AUTHENTICATED} ccvm.fstype={fs_type}", image, script)
    if not script:
        check_authenticated(report, GIB // 2, fs_type)
    check_equal(report.lines("sectors"), [f"{f} error" for f in FILES], "reading sectors that the host has changed")
    check_equal(set(report.lines("metadata")[:-1]), {"error"}, "reading metadata that the host has put back")
    check_equal(report.lines("image"), [f"{f} error" for f in FILES], "reading from an image that was put back")
    # Since Linux 7 ext4 may give up at the first of them.
    check(report.line("health") in ('"health":"errors"', '"health":"read-only"'), f"health: {report.line('health')}")
    check(int(report.line("mismatches")) > len(FILES), "mismatches that dm-integrity has counted")
    return report


@case(seconds=25)
def replay():
    """On ext4. And what the host has kept of a pool is no more than noise to the next."""
    report = replay_on("ext4", PLANTED)
    check_equal(report.lines("renew"), ["0"], "renewal on an image that was put back")
    check_equal([report.now["state"], report.now["health"]], ["encrypted", "ok"], "the next pool")
    check_authenticated(report, GIB // 2, reports=2)
    check_scratch(report, "ext4")
    check_equal(report.lines("planted"), [], "what is on the next pool")


@case(seconds=25)
def replay_xfs():
    replay_on("xfs")


@case(seconds=25)
def replay_btrfs():
    replay_on("btrfs")


@case(seconds=20)
def replay_unnoticed():
    """The same without tags, for what it is worth: what was put back is read, without a word."""
    report = attacked("replay-unnoticed", "", Image(directory() / "disk", GIB // 2))
    check_equal(
        report.lines("sectors"),
        ["data A", "swapped noise", "other noise", "zeros noise", "flipped noise", "trimmed A"],
        "reading sectors that the host has changed",
    )


CRASH = Script(
    ("use", "cp -r /usr/lib/udev /scratch 2>/dev/null; sync; echo 3 >/proc/sys/vm/drop_caches; ls -lR /scratch >/dev/null 2>&1"),
    ("crash", "journalctl -b -k -o cat --no-pager | grep -E 'BUG:|Oops|general protection|Kernel panic' || true"),
)


@case(seconds=20)
def host_writes_all_along():
    """Over what the guest has just written, from before the format until the guest has powered off."""
    image = Image(directory() / "disk", GIB // 2)
    done = threading.Event()
    written = []

    def write():
        sectors = Sectors(image.path)
        while not done.wait(0.002):
            for start, end in extents(image.path):
                sector = (start + os.urandom(1)[0] * (end - start) // 256) // SECTOR
                sectors[sector] = os.urandom(SECTOR)
                written.append(sector)

    thread = threading.Thread(target=write)
    vm = VM("host-writes-all-along", f"{DISK} {AUTHENTICATED}", image.device(), CRASH).start()
    thread.start()
    try:
        report = vm.wait()
    finally:
        done.set()
        thread.join()
    check_equal(report.lines("crash"), [], "what the kernel says")
    check(len(written) > 100, f"the host has written {len(written)} times only")
    print(f"# {len(written)} writes: {report.status['state']}, {report.status['reason']}, {report.status['detail']}")
    if report.status["state"] == "tmpfs":
        check_outcome(report, "tmpfs", report.status["reason"], [LUKS])
    else:
        check_equal(report.status["state"], "encrypted", "state")


def extents(path):
    """The ranges of the file that have data, as (start, end)."""
    found = []
    with open(path, "rb") as f:
        end = 0
        while True:
            try:
                start = os.lseek(f.fileno(), end, os.SEEK_DATA)
            except OSError:
                return found  # only a hole is left
            end = os.lseek(f.fileno(), start, os.SEEK_HOLE)
            found.append((start, end))
