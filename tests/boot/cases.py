# SPDX-License-Identifier: LGPL-2.1-or-later
"""The boots: each function is a case, and its name is the test's."""

import collections
import os
import pathlib
import subprocess
import tempfile

from vm import VM, Image, check, check_equal

GIB = 1 << 30
MIB = 1 << 20

LUKS = "ccvm-scratch-luks.service"
DISK = "ccvm.vm_disk=1"

# 16 bytes that no program writes by itself, many times over, so that every alignment is there.
CANARY = b"c4n4ry:Yt9Qe2xW\n"

MESSAGE_IDS = {
    "off": "7c625ba00f4c42c6bfddbedeaf1ba685",
    "encrypted": "0b1a94c4546b462693583107a7ba0724",
    "tmpfs": "a1b9127a7cab4dcbb72cafc329de128c",
    "none": "69396b351533487fbc7bc9a5e5c0c9e4",
}

SCRATCH_SCRIPT = r"""
section scratch-write; su nobody -s /bin/sh -c 'echo mine >/scratch/mine && cat /scratch/mine'
section scratch-mode; stat -c '%a %u %g' /scratch
section scratch-inodes; stat -fc %c /scratch
"""

OVERLAY_SCRIPT = r"""
section lower; ls /nix/.ro-store
section merged; ls /nix/store
section overlay-write; echo new >/nix/store/new && cat /nix/.rw-store/store/new
""" + SCRATCH_SCRIPT


def directory():
    """On a real disk, and taken away by nobody but the harness's own end."""
    return pathlib.Path(tempfile.mkdtemp(prefix="ccvm-images-", dir="/var/tmp"))


def check_outcome(report, state, reason=None, failed=(), reports=1):
    """What every boot is asked. reports: how often it was announced, by one kernel."""
    status = report.status
    check_equal(status["state"], state, f"state (detail: {status['detail']})")
    check_equal(status["reason"], reason, "reason")
    check_equal(report.line("status-exit"), "0" if state in ("encrypted", "off") else "3", "exit of status")
    check_equal(report.failed, set(failed), "failed units")
    check_equal([m["MESSAGE_ID"] for m in report.messages], [MESSAGE_IDS[state]] * reports, "outcomes in the journal")
    check_equal(report.messages[0]["CCVM_STATE"], state, "CCVM_STATE")
    check_equal(report.messages[0]["CCVM_REASON"] or None, reason, "CCVM_REASON")
    if state != "encrypted":
        check_equal(report.lines("mappings"), ["No devices found"], "mappings")


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
    check_equal(mount["source"], (source or "/dev/mapper/ccvm-scratch") + "[/scratch]", "source of /scratch")
    options = mount["options"].split(",")
    check("nosuid" in options and "nodev" in options, f"options of /scratch: {options}")
    text = report.lines("status-text")
    check_equal([line for line in text if "missing" in line], [], "status of a pool that is mounted")


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


def luks():
    """The main job: both mounts on dm-crypt, and next to nothing allocated on the host."""
    image = Image(directory() / "disk", 20 * GIB)
    script = OVERLAY_SCRIPT + r"""
section key-files; find /run /tmp /etc /root -xdev -name '*key*' -size -2 -type f 2>/dev/null | grep -i ccvm
section keyring; cat /proc/keys | grep cryptsetup
section reload; systemctl daemon-reload && systemctl is-active ccvm-scratch-luks.service
section again; systemctl start ccvm-scratch-luks.service ccvm-scratch-tmpfs.service; systemctl is-active ccvm-scratch-tmpfs.service
section still; findmnt -nro FSTYPE /scratch; cat /scratch/mine
section units; find /run/systemd/generator* -not -type d -name '*[sx]*'  | grep -E 'scratch|nix'
"""
    report = VM("luks", f"{DISK} ccvm.nix=overlay", image.device(), script).run()
    check_encrypted(report, 20 * GIB)
    check_scratch(report, "ext4")
    check_overlay(report, "ext4")
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


MOUNTS_SCRIPT = r"""
section modes; stat -c '%n %a %u %g' /scratch /var/tmp /var/lib/containers
section devices; for m in /scratch /var/tmp; do mknod $m/null c 1 3; echo x 2>/dev/null >$m/null && echo $m; done
section suid; for m in /scratch /var/tmp; do
    cp /usr/bin/id $m/id; chmod u+s $m/id; su nobody -s /bin/sh -c "$m/id -u"; done
section noexec; cp /usr/bin/id /data/id; /data/id -u 2>/dev/null || echo refused
section nested
cd /var/lib/containers && mkdir lower upper work merged && echo lower >lower/file
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay merged && echo changed >>merged/file
rm merged/file && mkdir merged/file && ls -A upper lower && stat -c %F upper/file && umount merged
"""


def mounts():
    """More than /scratch, each a directory of the one pool; and overlays on it, as container engines make them."""
    image = Image(directory() / "disk", 1 * GIB)
    paths = "/scratch:1777:0:0:dev+suid,/var/tmp,/data::::noexec /var/lib/containers:0700:65534:65534"
    append = f'{DISK} ccvm.nix=overlay "ccvm.mounts={paths}"'
    report = VM("mounts", append, image.device(), MOUNTS_SCRIPT).run()
    check_encrypted(report, 1 * GIB)
    modes = ["/scratch 1777 0 0", "/var/tmp 1777 0 0", "/var/lib/containers 700 65534 65534"]
    check_equal(report.lines("modes"), modes, "modes and owners")
    check_equal(report.lines("devices"), ["/scratch"], "where a device node works")
    check_equal(report.lines("suid"), ["0", "65534"], "user that a set-user-ID program runs as")
    check_equal(report.lines("noexec"), ["refused"], "a program where there is noexec")
    for target in ("/scratch", "/var/tmp", "/data", "/var/lib/containers"):
        check_equal(report.mount(target)["source"], f"/dev/mapper/ccvm-scratch[{target}]", f"source of {target}")
    check_equal(report.status["mounts"], ["/scratch", "/var/tmp", "/data", "/var/lib/containers", "/nix/.rw-store", "/nix/store"], "mounts")
    nested = ["lower:", "file", "", "upper:", "file", "directory"]
    check_equal(report.lines("nested"), nested, "an overlay whose layers are on the pool")


def no_marker():
    """Nothing is asked for: nothing emitted, nothing mounted, and the disk that is there is left alone."""
    image = Image(directory() / "disk", 64 * MIB)
    report = VM("no-marker", "", image.device(), "section run; ls -d /run/ccvm-scratch\nsection text; ccvm-scratch status\n").run()
    check_equal(report.line("status-exit"), "0", "exit of status")
    check_equal(report.failed, set(), "failed units")
    check_equal(report.lines("generated"), [], "generated units")
    check_equal(report.lines("run"), ["ls: cannot access '/run/ccvm-scratch': No such file or directory"], "/run")
    check_equal(report.messages, [], "outcomes in the journal")
    check_equal(report.mount("/scratch"), None, "/scratch")
    check_equal(report.lines("mappings"), ["No devices found"], "mappings")
    check_equal(report.line("text").split()[:2], ["State:", "off"], "status")
    check(image.is_zero(), "the disk was written to")


def nix_without_marker():
    """The store's upper without a disk: a tmpfs from the start, which is no failure."""
    report = VM("nix-without-marker", "ccvm.nix=overlay", script=OVERLAY_SCRIPT).run()
    check_outcome(report, "off")
    check_scratch(report, "tmpfs", "ccvm-scratch")
    check_overlay(report, "tmpfs")


def setup_fails():
    """A disk that is refused: reported, in RAM instead, and not a byte of it touched."""
    image = Image(directory() / "disk", 16 * MIB)
    report = VM("setup-fails", f"{DISK} ccvm.nix=overlay", image.device(), OVERLAY_SCRIPT).run()
    check_degraded(report, "device-too-small")
    check(image.is_zero(), "the refused disk was written to")


def credential():
    """The marker as a system credential, as a wrapper in front of any VMM can give it, and options likewise."""
    image = Image(directory() / "disk", 1 * GIB)
    conf = image.path.with_name("conf")
    conf.write_text("# a file\n[Scratch]\nMounts=/scratch /data:750\nFallback=fail\n")
    fw_cfg = [
        "name=opt/io.systemd.credentials/ccvm.vm-disk,string=1",
        f"name=opt/io.systemd.credentials/ccvm.conf,file={conf}",
    ]
    script = "section data; stat -c %a /data; cat /run/ccvm-scratch/config\n"
    report = VM("credential", "", image.device(), script, fw_cfg=fw_cfg).run()
    check_encrypted(report, 1 * GIB)
    check_scratch(report, "ext4")
    check_equal(report.mount("/data")["source"], "/dev/mapper/ccvm-scratch[/data]", "/data")
    check_equal(report.lines("data")[0], "750", "mode of /data")
    check("Fallback=fail" in report.lines("data"), "what Fallback= is")


def header_in_ram():
    """Nothing on the image is structured: no LUKS header, and no other trace."""
    image = Image(directory() / "disk", 1 * GIB)
    report = VM("header-in-ram", f"{DISK} ccvm.header=ram", image.device()).run()
    check_encrypted(report, 1 * GIB, offset=0)
    check_equal(report.status["header"], "ram", "header")
    check_scratch(report, "ext4")
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


def xfs():
    image = Image(directory() / "disk", 2 * GIB)
    report = VM("xfs", f"{DISK} ccvm.fstype=xfs ccvm.discard=no", image.device()).run()
    check_encrypted(report, 2 * GIB, "xfs")
    check_scratch(report, "xfs")
    check("allow_discards" not in report.line("table"), "TRIM is passed down")


def btrfs():
    """It gives back what is removed two minutes later by itself, and within one as the others."""
    image = Image(directory() / "disk", 2 * GIB)
    vm = VM("btrfs", f"{DISK} ccvm.fstype=btrfs", image.device(), TRIM_SCRIPT).start()
    allocated = hear_allocated(vm, image)
    report = vm.wait()
    check_encrypted(report, 2 * GIB, "btrfs")
    check_equal(report.mount("/scratch")["fstype"], "btrfs", "file system of /scratch")
    check_given_back(allocated)


def fallback_none():
    """Without a pool the boot goes on, and what was to be on it is plainly not there."""
    report = VM("fallback-none", f"{DISK} ccvm.fallback=none ccvm.device_timeout=2").run()
    check_outcome(report, "none", "device-timeout", [LUKS])
    check_equal(report.mount("/scratch"), None, "/scratch")


def wrapped(name, append, script="", options=(), kind=VM):
    """A boot by ccvm-scratch-run with a disk of 512 MiB, and the file into which QEMU writes what the guest reports."""
    where = directory()
    status_file = where.with_name(f"{where.name}.status")
    run = [os.environ["CCVM_RUN"], "--vm-disk-size=512M", f"--scratch-dir={where}", f"--status-file={status_file}"]
    return kind(name, append, script=script, wrapper=[*run, *options, "--"]), where, status_file


def check_told(vm, status_file, *lines):
    """What the guest has reported of one boot, and that nobody else has said anything."""
    check_equal([vm.status, vm.output], [0, b""], "exit status and output of QEMU")
    check_equal(status_file.read_text().splitlines(), list(lines), "the status file")


def check_console(vm, *words):
    """The line of a fallback, for who has started the VM in a terminal."""
    lines = [line for line in vm.console.read_text(errors="replace").splitlines() if "ccvm-scratch: no encrypted scratch disk" in line]
    check_equal(len(lines), 1, f"lines on the console ({lines})")
    check(all(word in lines[0] for word in words), f"{words} on the console: {lines[0]}")


# The disk is there, and the guest looks for another.
NOT_FOUND = "ccvm.serial=elsewhere ccvm.device_timeout=2"


def told_fallback():
    """The host hears that the guest is in RAM, and why."""
    vm, _, status_file = wrapped("told-fallback", NOT_FOUND)
    report = vm.run()
    check_outcome(report, "tmpfs", "device-timeout", [LUKS])
    check_told(vm, status_file, "tmpfs device-timeout")
    check_console(vm, "device-timeout", "using RAM instead")


def require_encrypted():
    """With --require-encrypted such a guest powers off."""
    vm, where, status_file = wrapped("require-encrypted", NOT_FOUND, options=["--require-encrypted"])
    report = vm.start().wait()
    check_equal(report.text, "", "what a guest said that should not have come so far")
    check_told(vm, status_file, "none device-timeout")
    check_console(vm, "device-timeout", "powering off")
    check_equal(list(where.iterdir()), [], "names in the scratch directory")


def fallback_fail():
    """For those who must not run without: the VM goes off, and the console and the host have the reason."""
    vm, _, status_file = wrapped("fallback-fail", f"{NOT_FOUND} ccvm.fallback=fail")
    report = vm.start().wait()
    check_equal(report.text, "", "what a guest said that should not have come so far")
    check_told(vm, status_file, "none device-timeout")
    check_console(vm, "device-timeout", "powering off")


TRIM_SCRIPT = r"""
section trim; sync; ask started
dd if=/dev/zero of=/scratch/big bs=1M count=512 conv=fsync 2>/dev/null; ask written
# What the timer does; without a word, and only where something has changed.
discards() { awk '{print $12}' /sys/block/dm-0/stat; }
section options; findmnt -rno OPTIONS /scratch
section removed; before=$(discards); rm /scratch/big; sync; echo $(($(discards) - before)); ask removed
systemctl start ccvm-scratch-health; sync; ask trimmed
section trimmed; before=$(discards); systemctl start ccvm-scratch-health; echo $(($(discards) - before))
systemctl show -P NextElapseUSecMonotonic ccvm-scratch-health.timer
"""


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
    check(allocated["written"] >= 512 * MIB, "the file was never on the image, which proves nothing")
    check(allocated["trimmed"] <= allocated["written"] * 5 // 100, "less than 95 % of the blocks are free again")


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


WRITE_CANARY = r"""
section canary
i=0; while [ $i -lt 1024 ]; do printf 'c4n4ry:Yt9Qe2xW\n'; i=$((i + 1)); done >/tmp/canary
i=0; while [ $i -lt 256 ]; do cat /tmp/canary; i=$((i + 1)); done >/scratch/canary
cp /tmp/canary /nix/.rw-store/store/canary
sync
section on-mapping; grep -c c4n4ry:Yt9Qe2xW /dev/mapper/ccvm-scratch
"""


def twice():
    """The same image in two boots: another key and another header, and nothing of the first is left to read."""
    image = Image(directory() / "disk", 256 * MIB)
    append = f"{DISK} ccvm.nix=upper ccvm.discard=no"
    first = VM("twice-1", append, image.device(), WRITE_CANARY).run()
    check_encrypted(first, 256 * MIB)
    check(int(first.line("on-mapping")) > 100000, "the canary is not on the mapping, so the search proves nothing")
    check_equal(count(image.path, CANARY[:15]), 0, "canaries in the image")

    # Only what the second file system writes has changed: the canary's blocks are there still, under the old key.
    script = "section on-mapping; grep -c c4n4ry:Yt9Qe2xW /dev/mapper/ccvm-scratch\nsection left; ls /scratch\n"
    second = VM("twice-2", append, image.device(), script).run()
    check_encrypted(second, 256 * MIB)
    check_equal(second.line("on-mapping"), "0", "canaries of the first boot on the mapping of the second")
    check_equal(second.lines("left"), [], "files of the first boot")
    check(first.status["uuid"] != second.status["uuid"], "both boots have the same LUKS UUID")


WIPE_SCRIPT = WRITE_CANARY + r"""
section before; cat /proc/mounts | grep -c ccvm-scratch
section wipe; ccvm-scratch wipe </dev/null; echo $?; ccvm-scratch wipe --yes; echo $?
section wiped-exit; ccvm-scratch status >/dev/null; echo $?
section wiped-state; ccvm-scratch status | head -n 2
section wiped-table; dmsetup table
section wiped-canary; grep -c c4n4ry:Yt9Qe2xW /scratch/canary /dev/mapper/ccvm-scratch
section wiped-mounts; findmnt -rno TARGET /scratch; findmnt -rno TARGET /run/ccvm-scratch/pool
section wiped-store; ls /nix/.ro-store | head -n 1; cat /nix/store/*-tools-1.0/lib/tools.conf
section wiped-keys; grep cryptsetup /proc/keys
section wiped-failed; systemctl list-units --failed --plain --no-legend | cut -d' ' -f1
section wiped-again; ccvm-scratch wipe --yes; echo $?
section wiped-messages; journalctl -b -o json --no-pager MESSAGE_ID=69396b351533487fbc7bc9a5e5c0c9e4 | grep -c '"CCVM_REASON":"wiped"'
"""


def wipe():
    """The key is destroyed while the VM runs: for the guest too the disk is noise, and the system runs on."""
    image = Image(directory() / "disk", 256 * MIB)
    report = VM("wipe", f"{DISK} ccvm.nix=overlay", image.device(), WIPE_SCRIPT).run()
    check_encrypted(report, 256 * MIB)
    check(int(report.line("on-mapping")) > 100000, "the canary was not there before")
    refused = "ccvm-scratch: wipe destroys all data on the scratch disk: without a terminal it takes --yes."
    check_equal(report.lines("wipe"), [refused, "2", "0"], "wipe without and with --yes")
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


class DisksAtTheEnd(VM):
    """The command's disks are where Linux numbers them last: in a high slot, behind a port, and on a second root bus."""

    def root_devices(self):
        *image, device, root = super().root_devices()
        port = ["-device", "pcie-root-port,id=slot1,chassis=1"]
        last = ["-blockdev", "null-co,node-name=last", "-device", "virtio-blk-pci,drive=last,addr=0x1d"]
        return [*image, *port, device, f"{root},bus=slot1", *last]

    def command(self):
        # At the end: what names no bus is from here on not on the first one.
        bus = ["-device", "pxb-pcie,id=second,bus=pcie.0,bus_nr=128", "-device", "pcie-root-port,id=slot2,bus=second,chassis=2"]
        disk = ["-blockdev", "null-co,node-name=second", "-device", "virtio-blk-pci,drive=second,bus=slot2"]
        return [*super().command(), *bus, *disk]


def wrapper():
    """ccvm-scratch-run from end to end; the image has no name, and no plaintext in it, and comes after all other disks."""
    # Until the host has looked at the image.
    script = WRITE_CANARY + "ask ready\n"
    vm, where, status_file = wrapped("wrapper", "ccvm.nix=overlay", script, ["--require-encrypted"], DisksAtTheEnd)
    vm.start().hear("ready")

    images = find_open_images(vm.process.pid, where)
    check_equal(len(images), 1, "images that the VMM has open")
    check_equal(list(where.iterdir()), [], "names in the scratch directory")
    with open(images[0], "rb") as image:
        status = os.fstat(image.fileno())
        check_equal([status.st_size, status.st_nlink, status.st_mode & 0o777], [512 * MIB, 0, 0o600], "the image")
        vm.host.write("go")
        report = vm.wait()
        check_encrypted(report, 512 * MIB)
        check_equal(report.status["device"], "/dev/vdd", "the disk, the last of four")
        check_told(vm, status_file, "encrypted")
        check(int(report.line("on-mapping")) > 100000, "the canary is not on the mapping")
        allocated = os.fstat(image.fileno()).st_blocks * 512
        check(4 * MIB < allocated < 64 * MIB, f"{allocated} bytes are allocated on the host")
        check_equal(count(f"/proc/self/fd/{image.fileno()}", CANARY[:15]), 0, "canaries in the image")
    check_equal(list(where.iterdir()), [], "names in the scratch directory afterwards")


def find_open_images(pid, where):
    """The paths under /proc by which files deleted in where are open in the process or its children."""
    found = {}
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(process.name)) != pid:
                continue
            for fd in (process / "fd").iterdir():
                if os.readlink(fd).startswith(f"{where}/"):
                    found[os.stat(fd).st_ino] = fd
        except OSError:
            continue  # gone meanwhile
    return list(found.values())
