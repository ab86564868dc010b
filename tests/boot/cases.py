# SPDX-License-Identifier: LGPL-2.1-or-later
"""The disk is there, encrypted, and used as asked; and without a marker nothing is."""

import collections
import os
import pathlib
import subprocess
import tempfile

from registry import case
from script import MESSAGE_IDS, Script
from vm import VM, Image, check, check_equal

GIB = 1 << 30
MIB = 1 << 20

LUKS = "ccvm-scratch-luks.service"
DISK = "ccvm.vm_disk=1"

# What the pool on the disk is mounted from: no path below /dev, which the service manager would take for a device.
SOURCE = "/run/ccvm-scratch/mapping"

# 16 bytes that no program writes by itself, many times over, so that every alignment is there.
CANARY = b"c4n4ry:Yt9Qe2xW\n"

SCRATCH_SCRIPT = Script(
    ("scratch-write", "su nobody -s /bin/sh -c 'echo mine >/scratch/mine && cat /scratch/mine'"),
    ("scratch-mode", "stat -c '%a %u %g' /scratch"),
    ("scratch-inodes", "stat -fc %c /scratch"),
)

OVERLAY_SCRIPT = Script(
    ("lower", "ls /nix/.ro-store"),
    ("merged", "ls /nix/store"),
    ("overlay-write", "echo new >/nix/store/new && cat /nix/.rw-store/store/new"),
) + SCRATCH_SCRIPT


def directory():
    """On a real disk, and taken away by nobody but the harness's own end."""
    return pathlib.Path(tempfile.mkdtemp(prefix="ccvm-images-", dir="/var/tmp"))


def outcomes(report):
    """The entries of the journal that say how a boot went."""
    return [entry for entry in report.journal if entry.get("MESSAGE_ID") in MESSAGE_IDS.values()]


def check_outcome(report, state, reason=None, failed=(), reports=1):
    """What every boot is asked. reports: how often it was announced, by one kernel."""
    status = report.status
    check_equal(status["state"], state, f"state (detail: {status['detail']})")
    check_equal(status["reason"], reason, "reason")
    check_equal(report.line("status-exit"), "0" if state in ("encrypted", "off") else "3", "exit of status")
    check_equal(report.failed, set(failed), "failed units")
    entries = outcomes(report)
    check_equal([entry["MESSAGE_ID"] for entry in entries], [MESSAGE_IDS[state]] * reports, "outcomes in the journal")
    check_equal(entries[0]["CCVM_STATE"], state, "CCVM_STATE")
    check_equal(entries[0]["CCVM_REASON"] or None, reason, "CCVM_REASON")
    if state != "encrypted":
        check_equal(report.lines("table"), ["No devices found"], "mappings")


# Sectors that the LUKS2 header takes.
HEADER = 512


def check_encrypted(report, size, fs_type="ext4", offset=HEADER, reports=1):
    check_outcome(report, "encrypted", reports=reports)
    status = report.status
    table = report.line("table").split()
    check_equal(table[:3], ["ccvm-scratch:", "0", str(size // 512 - offset)], "extent of the mapping")
    check_equal(table[3:5], ["crypt", "aes-xts-plain64"], "target and cipher")
    check(table[5].startswith(":64:logon:"), f"the key is not a 512-bit one in the kernel's hands: {table[5]}")
    check_equal([table[6], table[8]], ["0", str(offset)], "IV and data offset")
    check("sector_size:4096" in table[9:], f"no 4096-byte sectors: {table}")
    check_equal(
        [status[k] for k in ("cipher", "keySize", "sectorSize", "keyslots", "fsType", "integrity", "sizeBytes")],
        ["aes-xts-plain64", 512, 4096, 0, fs_type, "no", size - offset * 512],
        "status",
    )
    check_equal(status["mapper"], "/dev/mapper/ccvm-scratch", "mapper")
    check(status["timingsUSec"]["total"] > 0, "no timings")


def check_scratch(report, fs_type, source=None):
    mount = report.mount("/scratch")
    check(mount, "/scratch is not mounted")
    check_equal(mount["fstype"], fs_type, "file system of /scratch")
    check_equal(mount["source"], (source or SOURCE) + "[/scratch]", "source of /scratch")
    options = mount["options"].split(",")
    check("nosuid" in options and "nodev" in options, f"options of /scratch: {options}")
    check_equal(report.now["missing"], [], "missing mounts of a pool that is mounted")


def check_use(report):
    """What SCRATCH_SCRIPT did on /scratch."""
    check_equal(report.line("scratch-write"), "mine", "a write to /scratch by anybody")
    check_equal(report.line("scratch-mode"), "1777 0 0", "/scratch")


def check_overlay(report, fs_type):
    """A writable /nix/store over a store that has something in it, its upper on the pool."""
    check_equal(report.mount("/nix/store")["fstype"], "overlay", "/nix/store")
    check_equal(report.mount("/nix/.rw-store")["fstype"], fs_type, "/nix/.rw-store")
    check(len(report.lines("lower")) >= 2, "the lower store is empty")
    check_equal(report.lines("merged"), report.lines("lower"), "the merged store before the first write")
    check_equal(report.line("overlay-write"), "new", "a write to the store reaches the upper")
    check_use(report)


def check_degraded(report, reason):
    check_outcome(report, "tmpfs", reason, [LUKS])
    check_scratch(report, "tmpfs", "ccvm-scratch")
    check_overlay(report, "tmpfs")
    check(int(report.line("scratch-inodes")) >= 200000, "room for small files in RAM")


def luks_metadata(image):
    """The header as cryptsetup on the host reads it."""
    dump = subprocess.run(
        ["cryptsetup", "luksDump", image.path, "--dump-json-metadata"], check=True, capture_output=True, text=True
    )
    return dump.stdout


def count(path, needle):
    """How often needle is in the file, which may be sparse and large."""
    found = 0
    with open(path, "rb") as f:
        size = os.fstat(f.fileno()).st_size
        position = 0
        while position < size:
            try:
                position = os.lseek(f.fileno(), position, os.SEEK_DATA)
            except OSError:
                break  # only holes are left
            end = os.lseek(f.fileno(), position, os.SEEK_HOLE)
            data = os.pread(f.fileno(), min(end - position, 64 * MIB) + len(needle) - 1, position)
            found += data.count(needle)
            position = min(end, position + 64 * MIB)
    return found


LUKS_SCRIPT = OVERLAY_SCRIPT + Script(
    ("text", "ccvm-scratch status"),
    ("key-files", "find /run /tmp /etc /root -xdev -name '*key*' -size -2 -type f 2>/dev/null | grep -i ccvm"),
    ("keyring", "grep cryptsetup /proc/keys"),
    ("reload", "systemctl daemon-reload && systemctl is-active ccvm-scratch-luks.service"),
    ("again", """systemctl start ccvm-scratch-luks.service ccvm-scratch-tmpfs.service
systemctl is-active ccvm-scratch-tmpfs.service"""),
    ("still", "findmnt -nro FSTYPE /scratch; cat /scratch/mine"),
    ("units", "find /run/systemd/generator* -not -type d -name '*[sx]*' | grep -E 'scratch|nix'"),
)


@case(seconds=16, quick=True, oldstable=True)
def luks():
    """The main job: both mounts on dm-crypt, and next to nothing allocated on the host."""
    image = Image(directory() / "disk", 20 * GIB)
    report = VM("luks", f"{DISK} ccvm.nix=overlay", image.device(), LUKS_SCRIPT).run()
    check_encrypted(report, 20 * GIB)
    check_scratch(report, "ext4")
    check_overlay(report, "ext4")
    text = report.lines("text")
    check_equal([line for line in text if "missing" in line], [], "status of a pool that is mounted")
    check_equal(report.lines("key-files"), [], "key files")
    check_equal(report.lines("keyring"), [], "keys that outlived the program")
    check_equal(report.line("reload"), "active", "the service after a reload")
    check_equal(report.line("again"), "inactive", "the fallback after another start of both services")
    check_equal(report.lines("still"), ["ext4", "mine"], "/scratch after all of it")
    units = {f"ccvm-scratch-{name}" for name in ("check.service", "clone.service", "health.timer", "shutdown.service", "soft-reboot.service")}
    units |= {"50-ccvm-scratch.conf", "nix-.rw\\x2dstore.mount", "nix-store.mount", "scratch.mount"}
    check_equal({line.rpartition("/")[2] for line in report.lines("units")}, units, "units of the real root, after a reload")
    check('"keyslots":{}' in luks_metadata(image).replace(" ", "").replace("\n", ""), "the header has a keyslot")
    check(image.allocated() < 16 * MIB, f"{image.allocated()} bytes are allocated on the host")
    check(int(report.line("scratch-inodes")) >= 2000000, "room for small files")


MOUNTS_SCRIPT = Script(
    ("modes", "stat -c '%n %a %u %g' /scratch /var/tmp /var/lib/containers"),
    ("devices", "for m in /scratch /var/tmp; do mknod $m/null c 1 3; echo x 2>/dev/null >$m/null && echo $m; done"),
    ("suid", """for m in /scratch /var/tmp; do
    cp /usr/bin/id $m/id; chmod u+s $m/id; su nobody -s /bin/sh -c "$m/id -u"; done"""),
    ("noexec", "cp /usr/bin/id /data/id; /data/id -u 2>/dev/null || echo refused"),
    ("nested", """cd /var/lib/containers && mkdir lower upper work merged && echo lower >lower/file
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay merged && echo changed >>merged/file
rm merged/file && mkdir merged/file && ls -A upper lower && stat -c %F upper/file && umount merged"""),
)


SLOT = ["-device", "pcie-root-port,id=slot2,chassis=2"]

# A second disk with the serial, which nobody takes.
SECOND = Script(
    ("second", """ask "plug 1"
for i in $(seq 100); do grep -qx ccvm-scratch /sys/block/vdc/serial && break; sleep 0.1; done
udevadm settle; sleep 2
echo $(cat /sys/block/vdc/serial); ls /sys/block/vdc/holders"""),
    ("table-then", "dmsetup table"),
)


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


@case(seconds=20, oldstable=True)
def mounts():
    """More than /scratch, each a directory of the one pool; and overlays on it, as container engines make them.

    A VM that was started with a disk takes no other one.
    """
    image, second = (Image(directory() / "disk", GIB) for _ in range(2))
    paths = "/scratch:1777:0:0:dev+suid,/var/tmp,/data::::noexec /var/lib/containers:0700:65534:65534"
    append = f'{DISK} ccvm.nix=overlay "ccvm.mounts={paths}"'
    devices = SLOT + image.device() + second.backend(1)
    report = VM("mounts", append, devices, MOUNTS_SCRIPT + SECOND, meanwhile=plug(1)).run()
    check_encrypted(report, GIB)
    modes = ["/scratch 1777 0 0", "/var/tmp 1777 0 0", "/var/lib/containers 700 65534 65534"]
    check_equal(report.lines("modes"), modes, "modes and owners")
    check_equal(report.lines("devices"), ["/scratch"], "where a device node works")
    check_equal(report.lines("suid"), ["0", "65534"], "user that a set-user-ID program runs as")
    check_equal(report.lines("noexec"), ["refused"], "a program where there is noexec")
    check("rw,nosuid,nodev,noexec," in report.mount("/data")["options"], f"options of /data: {report.mount('/data')['options']}")
    for target in ("/scratch", "/var/tmp", "/data", "/var/lib/containers"):
        check_equal(report.mount(target)["source"], f"{SOURCE}[{target}]", f"source of {target}")
    check_equal(report.status["mounts"], ["/scratch", "/var/tmp", "/data", "/var/lib/containers", "/nix/.rw-store", "/nix/store"], "mounts")
    nested = ["lower:", "file", "", "upper:", "file", "directory"]
    check_equal(report.lines("nested"), nested, "an overlay whose layers are on the pool")
    check_second(report, second)


# Whatever a generator of ours would have written.
GENERATED = Script(
    ("generated", "cd /run/systemd/generator && find . -name '*ccvm*' -o -name '*scratch*' -o -name '*nix*'; cd /"),
    ("run", "ls -d /run/ccvm-scratch || true"),
)


def check_nothing(report):
    """Nothing was asked for, and there is nothing."""
    check_equal(report.line("status-exit"), "0", "exit of status")
    check_equal(report.failed, set(), "failed units")
    check_equal(report.lines("generated"), [], "generated units")
    check_equal(report.lines("run"), ["ls: cannot access '/run/ccvm-scratch': No such file or directory"], "/run")
    check_equal(outcomes(report), [], "outcomes in the journal")
    check_equal(report.mount("/scratch"), None, "/scratch")


@case(seconds=11, quick=True, oldstable=True)
def no_marker():
    """Nothing is asked for: nothing emitted, nothing mounted, and the disk that is there is left alone."""
    image = Image(directory() / "disk", 64 * MIB)
    script = GENERATED + Script(("text", "ccvm-scratch status"))
    report = VM("no-marker", "", image.device(), script).run()
    check_nothing(report)
    check_equal(report.lines("table"), ["No devices found"], "mappings")
    check_equal(report.line("text").split()[:2], ["State:", "off"], "status")
    check(image.is_zero(), "the disk was written to")


@case(quick=True)
def nix_without_marker():
    """The store's upper without a disk: a tmpfs from the start, which is no failure."""
    report = VM("nix-without-marker", "ccvm.nix=overlay", script=OVERLAY_SCRIPT).run()
    check_outcome(report, "off")
    check_scratch(report, "tmpfs", "ccvm-scratch")
    check_overlay(report, "tmpfs")


CREDENTIAL_SCRIPT = Script(("data", "stat -c %a /data; cat /run/ccvm-scratch/config"))


@case
def credential():
    """The marker as a system credential, as a wrapper in front of any VMM can give it, and options likewise.

    The size of the disk is no multiple of 4096: used to the last sector, if with smaller ones.
    """
    size = 256 * MIB + 1536
    image = Image(directory() / "disk", size)
    conf = image.path.with_name("conf")
    conf.write_text("# a file\n[Scratch]\nMounts=/scratch /data:750\nFallback=fail\n")
    credentials = {"ccvm.vm-disk": "string=1", "ccvm.conf": f"file={conf}"}
    report = VM("credential", "", image.device(), CREDENTIAL_SCRIPT, credentials=credentials).run()
    check_outcome(report, "encrypted")
    table = report.line("table").split()
    check_equal(table[:4], ["ccvm-scratch:", "0", str(size // 512 - HEADER), "crypt"], "extent of the mapping")
    check("sector_size" not in report.line("table"), f"not sectors of 512 bytes: {table}")
    check_equal([report.status["sectorSize"], report.status["sizeBytes"]], [512, size - HEADER * 512], "status")
    check_scratch(report, "ext4")
    check_equal(report.mount("/data")["source"], SOURCE + "[/data]", "/data")
    check_equal(report.lines("data")[0], "750", "mode of /data")
    check("Fallback=fail" in report.lines("data"), "what Fallback= is")


@case(seconds=18, oldstable=True)
def header_in_ram():
    """Nothing on the image is structured: no LUKS header, and no other trace. With xfs, and on virtio-scsi."""
    image = Image(directory() / "disk", 2 * GIB)
    serial = "Another_1.of-20-chrs"
    devices = ["-device", "virtio-scsi-pci", *image.device(serial=serial, driver="scsi-hd")]
    append = f"{DISK} ccvm.header=ram ccvm.fstype=xfs ccvm.discard=no ccvm.nix=overlay ccvm.serial={serial}"
    report = VM("header-in-ram", append, devices, OVERLAY_SCRIPT).run()
    check_encrypted(report, 2 * GIB, "xfs", offset=0)
    check_equal(report.status["header"], "ram", "header")
    check_scratch(report, "xfs")
    check_overlay(report, "xfs")
    check("allow_discards" not in report.line("table"), "TRIM is passed down")
    check_equal([count(image.path, magic) for magic in (b"LUKS\xba\xbe", b"SKUL\xba\xbe", b"json", b"aes-xts")],
                [0, 0, 0, 0], "traces of a header")
    check_noise(image.path, 16 * MIB)


def check_noise(path, size):
    """What is written in the first bytes of the file is evenly distributed, and no 16 bytes are there twice."""
    blocks = [b for b in iter_blocks(path, size) if any(b)]
    check(blocks, "nothing is written, which proves nothing")
    for block in blocks:
        counts = collections.Counter(block)
        chi_squared = sum((counts[byte] - 16) ** 2 / 16 for byte in range(256))
        # 255 on average; more than 436 is eight standard deviations away.
        check(chi_squared < 436, f"a block that is no noise: {block[:64].hex()}…")
    pieces = [block[i : i + 16] for block in blocks for i in range(0, 4096, 16)]
    check_equal(len(set(pieces)), len(pieces), "different pieces of 16 bytes")


def iter_blocks(path, size):
    with open(path, "rb") as f:
        data = f.read(size)
    return (data[i : i + 4096] for i in range(0, len(data), 4096))


@case(seconds=25, oldstable=True)
def btrfs():
    """It gives back what is removed two minutes later by itself, and within one as the others. On NVMe."""
    image = Image(directory() / "disk", 2 * GIB)
    devices = image.device(driver="nvme", serial="another")
    append = f"{DISK} ccvm.fstype=btrfs ccvm.nix=overlay ccvm.serial=another"
    vm = VM("btrfs", append, devices, OVERLAY_SCRIPT + TRIM_SCRIPT).start()
    allocated = hear_allocated(vm, image)
    report = vm.wait()
    check_encrypted(report, 2 * GIB, "btrfs")
    check_scratch(report, "btrfs")
    check_overlay(report, "btrfs")
    check_given_back(allocated)


@case
def fallback_none():
    """Without a pool the boot goes on, and what was to be on it is plainly not there."""
    report = VM("fallback-none", f"{DISK} ccvm.fallback=none ccvm.device_timeout=2").run()
    check_outcome(report, "none", "device-timeout", [LUKS])
    check_equal(report.mount("/scratch"), None, "/scratch")


TRIM_SCRIPT = Script(
    ("trim", """sync; ask started
dd if=/dev/zero of=/scratch/big bs=1M count=64 conv=fsync 2>/dev/null; ask written
# What the timer does; without a word, and only where something has changed.
discards() { awk '{print $12}' /sys/block/dm-0/stat; }"""),
    ("options", "findmnt -rno OPTIONS /scratch"),
    ("removed", """before=$(discards); rm /scratch/big; sync; echo $(($(discards) - before)); ask removed
systemctl start ccvm-scratch-health; sync; ask trimmed"""),
    ("trimmed", """before=$(discards); systemctl start ccvm-scratch-health; echo $(($(discards) - before))
systemctl show -P NextElapseUSecMonotonic ccvm-scratch-health.timer"""),
)


def hear_allocated(vm, image):
    """Bytes of the image at each moment of TRIM_SCRIPT."""
    allocated = {}
    for when in ("started", "written", "removed", "trimmed"):
        vm.hear(when)
        allocated[when] = image.allocated()
        vm.host.write("go")
    print(f"# bytes allocated: {allocated}")
    return allocated


def check_given_back(allocated):
    """Of the file that was written; what an empty file system takes stays."""
    check(allocated["written"] - allocated["started"] >= 64 * MIB, "the file was never on the image, which proves nothing")
    left = allocated["trimmed"] - allocated["started"]
    check(left <= 64 * MIB * 5 // 100, f"less than 95 % of the blocks are free again: {left} bytes")


@case
def trim():
    """What an earlier boot wrote, and what is removed in the guest, is given back on the host."""
    image = Image(directory() / "disk", 2 * GIB)
    with open(image.path, "r+b") as f:
        for _ in range(1024):
            f.write(b"\xa5" * MIB)
    check(image.allocated() >= GIB, "the image is not that of a VM that has run")
    vm = VM("trim", DISK, image.device(), TRIM_SCRIPT).start()
    allocated = hear_allocated(vm, image)
    report = vm.wait()
    check_encrypted(report, 2 * GIB)
    check("discard" not in report.line("options"), "each unlink discards")
    check_equal(report.line("removed"), "0", "discards by the removal of a file")
    check_equal(report.lines("trimmed")[0], "0", "discards when nothing has changed")
    check_equal(len(report.lines("trimmed")), 2, "the time at which the timer elapses next")
    check(allocated["started"] <= 2 * MIB, "the blocks of the last boot are still there")
    check_given_back(allocated)


WRITE_CANARY = Script(
    ("canary", r"""i=0; while [ $i -lt 1024 ]; do printf 'c4n4ry:Yt9Qe2xW\n'; i=$((i + 1)); done >/tmp/canary
i=0; while [ $i -lt 256 ]; do cat /tmp/canary; i=$((i + 1)); done >/scratch/canary
cp /tmp/canary /nix/.rw-store/store/canary
sync"""),
    ("on-mapping", "grep -c c4n4ry:Yt9Qe2xW /dev/mapper/ccvm-scratch"),
)


LEFT = Script(
    ("on-mapping", "grep -c c4n4ry:Yt9Qe2xW /dev/mapper/ccvm-scratch"),
    ("left", "ls /scratch"),
)


@case(seconds=26)
def twice():
    """The same image in two boots: another key and another header, and nothing of the first is left to read."""
    image = Image(directory() / "disk", 96 * MIB)
    append = f"{DISK} ccvm.nix=upper ccvm.discard=no"
    first = VM("twice-1", append, image.device(), WRITE_CANARY).run()
    check_encrypted(first, 96 * MIB)
    check(int(first.line("on-mapping")) > 100000, "the canary is not on the mapping, so the search proves nothing")
    check_equal(count(image.path, CANARY[:15]), 0, "canaries in the image")

    # Only what the second file system writes has changed: the canary's blocks are there still, under the old key.
    second = VM("twice-2", append, image.device(), LEFT).run()
    check_encrypted(second, 96 * MIB)
    check_equal(second.line("on-mapping"), "0", "canaries of the first boot on the mapping of the second")
    check_equal(second.lines("left"), [], "files of the first boot")
    check(first.status["uuid"] != second.status["uuid"], "both boots have the same LUKS UUID")


# The first wipe while the disk takes what is written, and never says that it has.
WIPE_SCRIPT = WRITE_CANARY + Script(
    ("before", "grep -c ccvm-scratch /proc/mounts"),
    ("refused", "ccvm-scratch wipe </dev/null; echo $?"),
    ("stalled", """ask 1
dd if=/dev/urandom of=/scratch/big bs=1M count=16 status=none; sync -f /scratch/big & writer=$!
until awk '$1 + $2 > 0 {ok = 1} END {exit !ok}' /sys/block/vdb/inflight; do sleep 0.1; done
began=$(cut -d. -f1 /proc/uptime)
ccvm-scratch wipe --yes; echo "exit $?"; echo "seconds $(($(cut -d. -f1 /proc/uptime) - began))"
ccvm-scratch status | sed -n "s/^ *State: /state /p"; dmsetup table | cut -d' ' -f4"""),
    ("wipe", """ask 0; wait $writer
ccvm-scratch wipe --yes; echo "exit $?"; ccvm-scratch status | sed -n "s/^ *State: /state /p"; dmsetup table | cut -d' ' -f4"""),
    ("wiped-exit", "ccvm-scratch status >/dev/null; echo $?"),
    ("wiped-state", "ccvm-scratch status | head -n 2"),
    ("wiped-table", "dmsetup table"),
    ("wiped-canary", "grep -c c4n4ry:Yt9Qe2xW /scratch/canary /dev/mapper/ccvm-scratch"),
    ("wiped-mounts", "findmnt -rno TARGET /scratch; findmnt -rno TARGET /run/ccvm-scratch/pool"),
    ("wiped-store", "ls /nix/.ro-store | head -n 1; cat /nix/store/*-tools-1.0/lib/tools.conf"),
    ("wiped-keys", "grep cryptsetup /proc/keys"),
    ("wiped-failed", "systemctl list-units --failed --plain --no-legend | cut -d' ' -f1"),
    ("wiped-again", "ccvm-scratch wipe --yes; echo $?"),
    ("wiped-messages", "journalctl -b -o cat --no-pager MESSAGE_ID=69396b351533487fbc7bc9a5e5c0c9e4 CCVM_REASON=wiped | wc -l"),
)


@case(seconds=35)
def wipe():
    """The key is destroyed while the VM runs: for the guest too the disk is noise, and the system runs on.

    While the disk stalls the wipe waits in time, leaves all as it was, and can be repeated.
    """
    image = Image(directory() / "disk", 96 * MIB)

    def stall(vm):
        vm.throttle("slow")
        vm.throttle("slow")

    report = VM("wipe", f"{DISK} ccvm.nix=overlay", image.device(id="slow"), WIPE_SCRIPT, meanwhile=stall).run()
    check_encrypted(report, 96 * MIB)
    check(int(report.line("on-mapping")) > 100000, "the canary was not there before")
    refused = "ccvm-scratch: wipe destroys all data on the scratch disk; without a terminal give --yes"
    check_equal(report.lines("refused"), [refused, "2"], "wipe without --yes")
    stalled = report.lines("stalled")
    check("Waiting for the disk" in stalled[0], f"the first wipe says: {stalled[0]}")
    check("try again, or power off" in stalled[1], f"the first wipe says: {stalled[1]}")
    check_equal(stalled[2], "exit 1", "the first wipe")
    check(8 <= int(stalled[3].split()[1]) <= 14, f"the first wipe took {stalled[3]}")
    check_equal(stalled[4:], ["state encrypted", "crypt"], "after the first wipe")
    check_equal(report.lines("wipe"), ["exit 0", "state none (degraded: there is no pool)", "error"], "the second wipe")
    check_equal(report.line("wiped-exit"), "3", "exit of status afterwards")
    check_equal([line.split()[1] for line in report.lines("wiped-state")], ["none", "wiped"], "state and reason")
    for line in report.lines("wiped-table"):
        check("crypt" not in line and "aes" not in line, f"the crypt target is still there: {line}")
    for line in report.lines("wiped-canary"):
        check(not line[-1].isdigit() or line.endswith(":0"), f"the canary can still be read: {line}")
    check_equal(report.lines("wiped-mounts"), [], "mounts of the pool afterwards")
    check_equal(len(report.lines("wiped-store")), 2, "the lower layer of the store can still be read")
    check_equal(report.lines("wiped-keys"), [], "keys in the keyrings")
    check_equal(report.lines("wiped-failed"), [], "failed units afterwards")
    check_equal(report.lines("wiped-again")[-1], "1", "a second wipe")
    check_equal(report.line("wiped-messages"), "1", "journal entries of the wipe")
    check_equal(count(image.path, CANARY[:15]), 0, "canaries in the image")
