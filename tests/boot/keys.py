# SPDX-License-Identifier: LGPL-2.1-or-later
"""A key of one's own for each clone, noticed or not; and tags for all of the pool, however full it is."""

import itertools
import json

from cases import GIB, LUKS, MIB, directory
from clone import Snapshot
from fault import FaultVM, drop_in
from faults_initrd import fault, without_modules
from integrity import AUTHENTICATED
from machine import CPU
from registry import case
from script import Script
from vm import Image, check, check_equal

CLONES = 5  # that go on from one: ten pairs

BLOCK = 4096

# Until the kernel makes a new seed for its random numbers every half a minute only. Then all is ready to go on at once.
WAIT = Script((None, r"""
until [ "$(cut -d. -f1 /proc/uptime)" -gt 65 ]; do sleep 5; done
head -c 16 /dev/urandom | od -A n -t x1 >/run/random
ask save"""))

# The host kills the VM then.
WRITTEN = Script((None, r"""
head -c 8M /dev/zero >/scratch/zeros; sync
ask "$(sed 's/.*"state":"\([^"]*\)".*/\1/' /run/ccvm-scratch/status.json)"
"""))

RENEW = WAIT + Script((None, "ccvm-scratch renew --force")) + WRITTEN
GET_A_DISK = WAIT + Script((None, "until mountpoint -q /scratch; do sleep 0.01; done")) + WRITTEN


def blocks(path):
    """{number: content} of those that are not zero."""
    with open(path, "rb") as f:
        numbered = enumerate(iter(lambda: f.read(BLOCK), b""))
        return {number: block for number, block in numbered if any(block)}


def check_own_keys(name, options, script, plug=False, **fields):
    """Of one saved VM several go on, each with a new key at once; no block of ciphertext is the same in two of them.

    Without a generation ID nobody notices; on one CPU, whose clock counts instructions, all do the same.
    """
    where = directory()
    found = []
    for i in range(CLONES + 1):
        image = Image(where / f"disk{i}", 128 * MIB)
        devices = image.backend() if plug else image.device()
        append = f"ccvm.nix=no ccvm.header=ram {options}"
        vm = Snapshot(name, append, devices, script, where / "saved", i, generation=None, memory=512, **fields)
        if i == 0:
            vm.start().save()
            continue
        vm.go_on()
        if plug:
            vm.plug()
        vm.hear("encrypted")
        vm.process.kill()
        vm.process.wait()
        found.append(blocks(image.path))
        image.path.unlink()
    for a, b in itertools.combinations(found, 2):
        both = a.keys() & b.keys()
        check(len(both) >= 8 * MIB // BLOCK, f"only {len(both)} blocks are written in both clones")
        check_equal(sum(a[number] == b[number] for number in both), 0, "blocks of ciphertext that are the same in both")


@case(seconds=160, counted=True)
def clones_that_renew():
    check_own_keys("clones-that-renew", "", RENEW)


@case(seconds=160, counted=True)
def clones_that_get_a_disk():
    """And the CPU has no random numbers: the clocks are different."""
    cpu = f"{CPU},rdrand=off,rdseed=off"
    check_own_keys("clones-that-get-a-disk", "ccvm.vm_disk=hotplug", GET_A_DISK, plug=True, cpu=cpu)


# As if the VM were saved before the watch begins.
EARLY_SCRIPT = Script(
    (None, """systemctl stop ccvm-scratch-clone.service
ask save"""),
    ("warned", """journalctl -b -o cat --no-pager | grep -c 'OnClone=renew does not go with NixStore=overlay'
systemctl start ccvm-scratch-clone.service
sleep 100"""),
)


@case(seconds=45, counted=True, since_systemd=254)  # as for clone.py
def clone_that_cannot_renew():
    """OnClone=renew with NixStore=, and the watch comes later than the snapshot: with Fallback=fail it powers off."""
    where = directory()
    options = "ccvm.on_clone=renew ccvm.fallback=fail"
    disk = Image(where / "disk", 128 * MIB)
    Snapshot("clone-that-cannot-renew", options, disk.device(), EARLY_SCRIPT, where / "saved").start().save()
    vm = Snapshot("clone-that-cannot-renew", options, disk.device(), EARLY_SCRIPT, where / "saved", 1).go_on()
    report = vm.wait()
    check_equal(vm.status, 0, f"exit status of the VMM ({vm.output!r})")
    check(int(report.line("warned")) > 0, "the generator did not warn")
    said = vm.console.read_text(errors="replace")
    check("(cloned): the pool could not be renewed; powering off" in said, "the VM did not say why it ends")


@case
def no_dm_integrity():
    report = fault("no-dm-integrity", "kernel", without_modules("dm-integrity"), AUTHENTICATED)
    check("no dm_integrity" in report.status["detail"], f"detail: {report.status['detail']}")


# What the program is to take the RAM for: a sixteenth of it, 4 MiB, has room for the tags of a pool that is soon full.
MEMINFO = b"MemTotal:          65536 kB\nMemFree:               0 kB\nMemAvailable:          0 kB\nShmem:                 0 kB\n"
ROOM = 4 * MIB
POOL = 736 * MIB


FULL_SCRIPT = Script(
    (None, """umount /proc/meminfo
tags=/sys/block/$(cat /run/ccvm-scratch/tags)
mkdir /scratch/old; cp -r /usr/lib/udev /usr/lib/systemd/system /scratch/old
head -c 64M /dev/urandom >/scratch/old/big; sync
(cd /scratch/old && find . -type f -exec sha256sum {} +) >/run/sums"""),
    ("full", """cat /dev/zero >/scratch/full 2>/dev/null || echo no room
sync; stat -f -c %a /scratch; stat -c %s /scratch/full
cat /dev/zero >/tmp/full 2>/dev/null || echo no room
stat -f -c %a /tmp"""),
    ("tags", "dd if=/dev/zero of=/dev/mapper/ccvm-scratch count=0 conv=notrunc,fsync 2>/dev/null && cat $tags/mm_stat"),
    ("old", """echo 3 >/proc/sys/vm/drop_caches; echo 1048576 >/sys/module/dm_bufio/parameters/max_cache_size_bytes; sleep 1
wc -l </run/sums; cd /scratch/old; sha256sum -c /run/sums | grep -c ': OK$'; cd /
diff -r /usr/lib/udev /scratch/old/udev && echo same"""),
    ("new", 'cmp -n "$(stat -c %s /scratch/full)" /scratch/full /dev/zero && echo same'),
    ("full-status", "ccvm-scratch status --json=short; echo $?"),
    ("oom", "journalctl -b -k -o cat --no-pager | grep -iE 'out of memory|i/o error|blocked for more' || true"),
    ("shown", "ccvm-scratch status"),
)


@case(seconds=70)
def integrity_full():
    """Of a disk of 200 GiB what has tags with room in RAM: when all of it is written every file is as it was."""
    image = Image(directory() / "disk", 200 * GIB)
    before = "[Service]\nExecStartPre=+mount --bind /meminfo /proc/meminfo\n"
    files = {"/meminfo": MEMINFO, **drop_in(LUKS, before)}
    report = FaultVM("integrity-full", f"{AUTHENTICATED} ccvm.nix=no", image.device(), FULL_SCRIPT, files, memory=512).run()
    status = report.status
    check_equal([status["state"], status["sizeBytes"]], ["encrypted", POOL], "the pool")
    check_equal(report.line("status-exit"), "0", "exit status of ccvm-scratch status")
    check("204800 MiB" in status["detail"] and "736 MiB" in status["detail"], f"detail: {status['detail']}")
    room, free, size, *rest = report.lines("full")
    check_equal([room, free, rest], ["no room", "0", ["no room", "0"]], "a full pool, and a full /tmp")
    check(int(size) > POOL * 8 // 10, f"only {size} bytes were written")
    used = int(report.line("tags").split()[2])
    check(POOL // 256 * 9 // 10 < used <= ROOM, f"the tags take {used} bytes of RAM")
    count, good, same = report.lines("old")
    check(int(count) > 100 and good == count, f"{good} of {count} old files are as they were")
    check_equal([same, report.lines("new")], ["same", ["same"]], "what can be read")
    now, code = report.lines("full-status")
    check_equal([json.loads(now)["health"], code], ["ok", "0"], "health of a full pool")
    check_equal(report.lines("oom"), [], "what the kernel says")
