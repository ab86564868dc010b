# SPDX-License-Identifier: LGPL-2.1-or-later
"""Virtual machines that go on from a snapshot: the guest notices by the generation ID, and acts as OnClone= says."""

import json
import shutil
import time

from cases import GIB, MIB, directory
from fault import FaultVM
from registry import case
from script import Script
from vm import TIME_LIMIT, Image, check, check_equal

STATUS = Script((None, r"""
status() { section "$1"; ccvm-scratch status --json=short; ccvm-scratch is-encrypted 2>&1; echo $?; ls /scratch; }
# Until it is as the command says.
wait_until() { for i in $(seq 100); do "$@" && return; sleep 0.1; done; echo "timed out: $*"; }"""))


class Snapshot(FaultVM):
    """A VM that is saved at a point of its script, and goes on from it as several others.

    number: which of them this is; 0 is the first one, which ends there. Its clock counts instructions, so that two that go
    on do the same, but for what makes them different.
    """

    def __init__(self, name, append, devices, script, saved, number=0, **fields):
        incoming = saved if number else None
        name = f"{name}-{number}" if number else name
        super().__init__(name, append, devices, script, **{"generation": number, "counted": True, "incoming": incoming, **fields})
        self.saved = saved

    def save(self):
        """At the point at which the guest waits for an answer."""
        self.hear("save")
        self.qmp.execute("migrate", uri=f"exec:cat >{self.saved}")
        self.wait_for_migration()
        self.process.kill()
        self.process.wait()

    def go_on(self):
        self.start()
        self.wait_for_migration()
        self.host.write("go")
        return self

    def wait_for_migration(self):
        while (state := self.qmp.execute("query-migrate")).get("status") != "completed":
            check(state.get("status") != "failed", f"saving or restoring has failed: {state}")
            check(time.monotonic() - self.started < TIME_LIMIT, f"saving or restoring does not end: {state}")
            time.sleep(0.1)


def told(report, name):
    lines = report.lines(name)
    return json.loads(lines[0]), lines[1:]


CLONE_SCRIPT = STATUS + Script(
    (None, r"""yes c4n4ry:clones | head -c 8M >/scratch/canary; sync
status before
ask save
renewed() { ccvm-scratch status --json=short | grep -v "$uuid" | grep -q '"state":"encrypted","reason":null'; }
uuid=$(sed 's/.*"uuid":"\([^"]*\)".*/\1/' /run/ccvm-scratch/status.json)
wait_until renewed
wait_until systemctl is-active --quiet scratch.mount
status after"""),
    ("told", """journalctl -b -o json MESSAGE_ID=c2f6f3f1a5594bb2a7d0c1a4e2b86f17 | grep -c '"CCVM_REASON":"cloned"'"""),
    ("canary", "grep -c c4n4ry:clones /dev/mapper/ccvm-scratch"),
    ("table-kinds", "dmsetup table | cut -d' ' -f1,4 | sort"),
    ("watch", r"grep -E 'RssAnon|RssFile' /proc/$(systemctl show -P MainPID ccvm-scratch-clone.service)/status | tr -s ' \t\n' ' '; echo"),
    ("failed-after", """systemctl list-units --failed --plain --no-legend | cut -d' ' -f1
# And with Fallback=fail there is no VM without an encrypted pool.
mount --bind /usr/bin/false /usr/sbin/mkfs.ext4"""),
    ("powers-off", """ccvm-scratch renew --force
sleep 100"""),
)


@case(seconds=50, counted=True, since_systemd=254)  # Debian 12's kernel has no driver of the generation ID
def clone():
    """OnClone=renew: two that go on from one have two keys, and nothing of the first's data."""
    where = directory()
    options = "ccvm.nix=no ccvm.integrity=hmac-sha256 ccvm.on_clone=renew ccvm.fallback=fail"
    disks = [Image(where / f"disk{i}", 128 * MIB) for i in range(3)]
    Snapshot("clone", options, disks[0].device(), CLONE_SCRIPT, where / "saved").start().save()
    keys = set()
    for i in (1, 2):
        shutil.copyfile(disks[0].path, disks[i].path)
        vm = Snapshot("clone", options, disks[i].device(), CLONE_SCRIPT, where / "saved", i).go_on()
        report = vm.wait()
        check_equal(vm.status, 0, f"exit status of the VMM ({vm.output!r})")
        status, rest = told(report, "after")
        check_equal([status["state"], status["reason"]], ["encrypted", None], "state and reason")
        check_equal(status["missing"], [], "missing mounts")
        check_equal(rest, ["0"], "is-encrypted, and what is on /scratch")
        check_equal(report.line("told"), "1", "journal entries of the clone")
        check_equal(report.line("canary"), "0", "canaries of the snapshot on the mapping")
        kinds = ["ccvm-scratch: crypt", "ccvm-scratch_dif: integrity"]
        check_equal([line for line in report.lines("table-kinds") if "ccvm" in line], kinds, "mappings")
        check_equal(report.lines("failed-after"), [], "failed units")
        print(f"# what watches takes {report.line('watch')}")
        check("as Fallback=fail says" in vm.console.read_text(errors="replace"), "the VM did not say why it ends")
        keys.add(status["uuid"])
        (where / f"disk{i}").unlink()
    check_equal(len(keys), 2, "different UUIDs of the two")


PLUG_SCRIPT = STATUS + Script(
    (None, """status before
ask save
wait_until mountpoint -q /scratch"""),
    ("uptime", """cut -d' ' -f1 /proc/uptime
wait_until systemctl is-active --quiet ccvm-scratch-luks.service
status plugged"""),
    ("plugged-log", """journalctl -b -k -o short-monotonic | grep 'virtio_blk.*logical blocks' | tail -n 1
journalctl -b -o short-monotonic -u ccvm-scratch-luks.service | tail -n 3
echo mine >/scratch/file
ask again
cloned() { grep -q '"reason":"cloned"' /run/ccvm-scratch/status.json; }
wait_until cloned
status cloned"""),
    ("cloned-text", "ccvm-scratch status"),
    ("renew", """ccvm-scratch renew --yes; echo $?
status renewed"""),
)


def seconds(line):
    """Of the journal's monotonic time."""
    return float(line.split("[")[1].split("]")[0])


@case(seconds=50, counted=True, since_systemd=254)  # as above
def snapshot_then_disk():
    """VmDisk=hotplug: a VM is saved before it has a disk, and each that goes on from it gets one, and a key, of its own.

    The second is saved once more, with the disk, and what goes on from that is a clone, of which OnClone=warn tells. On
    btrfs, whose mkfs looks into the mount table, where the old pool still is at a renewal.
    """
    where = directory()
    options = "ccvm.vm_disk=hotplug ccvm.nix=no ccvm.fstype=btrfs"
    images = [Image(where / f"disk{i}", GIB) for i in range(4)]

    def machine(number, saved="saved", more=()):
        return Snapshot("snapshot-then-disk", options, [*images[number].backend(), *more], PLUG_SCRIPT, where / saved, number)

    machine(0).start().save()
    keys = set()
    for i in (1, 2):
        vm = machine(i).go_on()
        vm.plug()
        vm.hear("again")
        vm.qmp.execute("migrate", uri=f"exec:cat >{where}/again")
        vm.wait_for_migration()
        vm.process.kill()
        report = vm.wait()
        status, rest = told(report, "plugged")
        check_equal([status["state"], status["reason"], rest], ["encrypted", None, ["0"]], "after the disk has come")
        came, *_, done = report.lines("plugged-log")
        print(f"# {seconds(done) - seconds(came):.2f} s of guest time from the disk to the pool")
        keys.add(status["uuid"])
    check_equal(len(keys), 2, "different UUIDs of the two")

    shutil.copyfile(images[2].path, images[3].path)
    slot = ["-device", "virtio-blk-pci,drive=scratch0,serial=ccvm-scratch,bus=slot1"]
    vm = machine(3, "again", slot).go_on()
    report = vm.wait()
    check_equal(vm.status, 0, f"exit status of the VMM ({vm.output!r})")
    status, rest = told(report, "cloned")
    check_equal([status["state"], status["reason"]], ["encrypted", "cloned"], "state and reason of a clone")
    denial = "A clone of this virtual machine may have the key of the scratch pool"
    check_equal(rest, [denial, "3", "file"], "is-encrypted, and what is on /scratch")
    check(status["uuid"] in keys, "a clone has another key without OnClone=")
    check(any("renew" in line for line in report.lines("cloned-text")), "status does not say what to do about a clone")
    check_equal(report.lines("renew"), ["0"], "renew")
    status, rest = told(report, "renewed")
    check_equal([status["state"], status["reason"], rest], ["encrypted", None, ["0"]], "after the renewal")
    check(status["uuid"] not in keys, "a clone has the same key after the renewal")
