# SPDX-License-Identifier: LGPL-2.1-or-later
"""A system that was installed, and that the component has to leave as it is (tests/guest/installed).

Its root is on virtio-scsi or SATA, found by name, read-only in the initrd; /var is a partition of its own, /tmp a tmpfs.
The initrd is dracut's default.
"""

import os
import pathlib
import re
import subprocess

from cases import DISK, GENERATED, GIB, LUKS, MIB, check_encrypted, check_nothing, check_outcome, directory, plug
from fault import SLOT1, unit
from machine import Root, thrown_away
from registry import case
from script import Script
from vm import VM, Image, check, check_equal, check_missing

GUEST = pathlib.Path(os.environ.get("CCVM_GUEST_INSTALLED", "/nonexistent"))

UUID = "root=UUID=0c7f2c6e-9a55-4f0b-8d7e-5a1f6a7c0001"
PARTUUID = "root=PARTUUID=0c7f2c6e-9a55-4f0b-8d7e-5a1f6a7c0003"
LABEL = "root=LABEL=installed"
ID = "root=/dev/disk/by-id/ata-QEMU_HARDDISK_root-part1"

SCSI = ["-device", "virtio-scsi-pci,id=scsi", "-device", "scsi-hd,bus=scsi.0,drive=root,serial=root"]
SATA = ["-device", "ide-hd,bus=ide.0,drive=root,serial=root"]


def boot(name, root, bus, append="", devices=(), script=Script(), files=None, initrd="initrd", **fields):
    """Boots it from one of its initrds, with files appended. What it writes to its root and /var is gone when it ends."""
    root = Root(root, thrown_away("disk.raw", *bus))
    fields = {"guest": GUEST, "root": root, "initrd": initrd, "patience": 120, "board": "q35", **fields}
    return VM(name, append, devices, script, files, **fields).run()


MOUNTS = "ccvm.mounts=/scratch:1777,/var/tmp,/tmp/x,/home/dev/work:0750:1000"
PATHS = ["/scratch", "/var/tmp", "/tmp/x", "/home/dev/work"]

USE = Script(
    ("kinds", "findmnt -no FSTYPE /var; findmnt -no FSTYPE /tmp"),
    ("use", f'for m in {" ".join(PATHS)}; do echo mine >$m/mine; [ -e /run/ccvm-scratch/pool$m/mine ] && echo $m; done'),
)


def check_use(report, parents=("ext4", "tmpfs")):
    check_missing(report, [])
    check_equal(report.lines("kinds"), list(parents), "what /var and /tmp are")
    check_equal(report.lines("use"), PATHS, "what is on the pool")


# Of each kind one, with a partition and a file system on each disk; what else there is makes the guest itself.
ZOO = {
    "zoo-virtio": ["-device", "virtio-blk-pci,drive=zoo-virtio,serial=zoo-virtio"],
    "zoo-scsi": ["-device", "scsi-hd,bus=scsi.0,drive=zoo-scsi,serial=zoo-scsi"],
    "zoo-scsi-cd": ["-device", "scsi-cd,bus=scsi.0,drive=zoo-scsi-cd"],
    "zoo-sata": ["-device", "ide-hd,bus=ide.2,drive=zoo-sata,serial=zoo-sata"],
    "zoo-sata-cd": ["-device", "ide-cd,bus=ide.3,drive=zoo-sata-cd"],
    "zoo-nvme": ["-device", "nvme,drive=zoo-nvme,serial=zoo-nvme"],
    "zoo-no-serial": ["-device", "virtio-blk-pci,drive=zoo-no-serial"],
}


def zoo():
    """QEMU's arguments; each disk is a copy of the first MiBs of the root's, by whose names nobody may be misled."""
    where = directory()
    words = []
    for number, (name, devices) in enumerate(ZOO.items()):
        path = where / name
        path.write_bytes(b"")
        os.truncate(path, 16 * MIB)
        make_partition(path, number)
        words += ["-blockdev", f"driver=raw,node-name={name},read-only={'on' if 'cd' in name else 'off'},"
                  f"file.driver=file,file.filename={path},file.locking=off", *devices]
    return words


def make_partition(path, number):
    table = f"label: gpt\nlabel-id: 0c7f2c6e-9a55-4f0b-8d7e-5a1f6a7c1{number:03}\n" \
            f"start=1MiB, size=8MiB, uuid=0c7f2c6e-9a55-4f0b-8d7e-5a1f6a7c2{number:03}, name=zoo-{number}\n"
    subprocess.run(["sfdisk", "-q", path], input=table, text=True, check=True)
    part = path.with_name("part")
    part.write_bytes(b"")
    os.truncate(part, 8 * MIB)
    uuid = f"0c7f2c6e-9a55-4f0b-8d7e-5a1f6a7c3{number:03}"
    subprocess.run(["mkfs.ext4", "-q", "-U", uuid, "-L", f"zoo-{number}", part], check=True)
    with open(path, "r+b") as f:
        f.seek(MIB)
        f.write(part.read_bytes())


# Makes the kinds that need no hardware, and tells of all there is.
TELL = Script(
    (None, """systemctl is-system-running --wait >/dev/null
modprobe -a loop zram nbd md_mod
losetup --find /usr/bin/udevadm
echo md_zoo >/sys/module/md_mod/parameters/new_array
dmsetup create zoo-dm --table "0 2048 linear $(cat /sys/class/block/"$(basename "$(readlink -f /dev/disk/by-label/zoo-0)")"/dev) 0"
udevadm settle
for i in $(seq 100); do systemctl list-jobs | grep -q "No jobs" && break; sleep 0.1; done"""),
    ("db", "udevadm info --export-db"),
    ("links", r"cd /dev/disk; find . -type l -printf '%p %l\n' | sort; cd /"),
    ("units", "systemctl list-units --all --plain --no-legend | sort"),
    ("rules", "ls /run/udev/rules.d 2>/dev/null || true"),
)

# What is random, or counts what came before: when udev saw it, and the number of the disk.
RANDOM = [
    (re.compile(r"USEC_INITIALIZED=\d+"), "USEC_INITIALIZED="),
    (re.compile(r"DISKSEQ=\d+"), "DISKSEQ="),
    (re.compile(r"^I: ?\d+"), "I:"),
    (re.compile(r"diskseq(/|-|\\x2d)\d+"), r"diskseq\1"),
    (re.compile(r"^Q: \d+"), "Q:"),
    (re.compile(r"\bwakeup\d+"), "wakeup"),
    (re.compile(r"^R: \d+"), "R:"),  # the number that the name ends with
    # A set, in no order.
    (re.compile(r"(?<=DEVLINKS=).*"), lambda links: " ".join(sorted(links[0].split()))),
    (re.compile(r"(?<=TAGS=):.*"), lambda tags: ":".join(sorted(tags[0].split(":")))),
]

# One device after the other, so that each has the same name in each boot.
IN_ORDER = "scsi_mod.scan=sync rd.udev.children_max=1 udev.children_max=1"


def told(report, section):
    """The section's lines without what is random, in order.

    Which disk is sda depends on which of sd's and libata's threads is first: they are named by their addresses here.
    """
    addresses = {disk: address for line in report.lines("db")
                 for address, disk in re.findall(r"^P: .*/([\d:]+)/block/(s[dr][a-z0-9])$", line)}  # fmt: skip
    text = "\n".join(report.lines(section))
    for disk, address in addresses.items():
        text = re.sub(rf"\b{disk}(?=\d*\b)", f"<{address}>", text)
        major, first = (8, 16 * (ord(disk[2]) - ord("a"))) if disk.startswith("sd") else (11, int(disk[2]))
        for number in range(first, first + 16 if major == 8 else first + 1):
            text = re.sub(rf"(?<!\d)(?<!\d:){major}:{number}\b", f"<{address}>:{number - first}", text)
            text = text.replace(f"E: MAJOR={major}\nE: MINOR={number}\n", f"E: MINOR=<{address}>:{number - first}\n")
    lines = text.split("\n") if text else []
    for pattern, replacement in RANDOM:
        lines = [pattern.sub(replacement, line) for line in lines]
    return lines if section == "db" else sorted(lines)


def devices_of(report):
    """The database's entries by device.

    But for the keyboard and the power button: which of them is input0 is the kernel's to decide, each time anew.
    """
    entries = "\n".join(told(report, "db")).split("\n\n")
    named = {entry.split("\n")[0]: sorted(entry.split("\n")) for entry in sorted(entries) if entry.strip()}
    return {device: entry for device, entry in named.items() if "/input/" not in device}


def compare(what, one, other):
    """Byte for byte; says what is different."""
    differences = [f"-{x}" for x in one if x not in other] + [f"+{x}" for x in other if x not in one]
    check(not differences, f"{what} differ: {differences[:20]}")
    check_equal(list(other), list(one), what)


# The package's files, and in the other boot the same unit with nothing to do.
REMOVE = """[Unit]
DefaultDependencies=no
After=sysroot.mount
Before=initrd-root-fs.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=mount -o remount,rw /sysroot
ExecStart=rm -rf {}
ExecStart=mount -o remount,ro /sysroot
"""

PACKAGE = [
    "lib/ccvm-scratch", "bin/ccvm-scratch", "lib/systemd/system-generators/ccvm-scratch-generator",
    "lib/systemd/system/ccvm-scratch-check.service", "lib/systemd/system/ccvm-scratch-luks.service",
    "lib/systemd/system/ccvm-scratch-clone.service", "lib/systemd/system/ccvm-scratch-recover.service",
    "lib/systemd/system/ccvm-scratch-renew.service",
    "lib/systemd/system/ccvm-scratch-health.service", "lib/systemd/system/ccvm-scratch-health.timer",
    "lib/systemd/system/ccvm-scratch-shutdown.service",
    "lib/systemd/system/ccvm-scratch-soft-reboot.service",
    "lib/systemd/system/ccvm-scratch-tmpfs.service", "lib/systemd/catalog/ccvm-scratch.catalog",
]  # fmt: skip


TELL_NOTHING = TELL + GENERATED


def boot_zoo(name, initrd="initrd", remove=("nothing",), script=TELL, files=None, devices=(), append="", **fields):
    """The kernel and its modules are as they come: what they print and load is part of what is compared."""
    files = unit("remove.service", REMOVE.format(" ".join(f"/sysroot/usr/{p}" for p in remove)), "initrd-root-fs.target") | (files or {})
    return boot(name, UUID, SCSI, f"{IN_ORDER} {append}", [*zoo(), *devices], script, files, initrd, stock=True, **fields)


@case(seconds=90, oldstable=True)
def no_harm():
    """Without a marker all devices, links and units are as without the package; a root on virtio-scsi by UUID boots.

    Its initrd has the same bytes whenever dracut makes it.
    """
    check((GUEST / "initrd").read_bytes() == (GUEST / "initrd-again").read_bytes(), "a second initrd differs from the first")
    without = boot_zoo("no-harm-without", "initrd-without", PACKAGE)
    check_equal(without.lines("status-exit")[-1], "127", "the shell's answer to ccvm-scratch where it is not")
    with_it = boot_zoo("no-harm-with", script=TELL_NOTHING)
    check_nothing(with_it)
    check_equal(with_it.lines("rules"), [], "rules in /run")
    check(len(devices_of(without)) > 50, "the database is too small to prove anything")
    for kind in ("/block/vda", "/block/<0:0:0:0>", "/block/<0:0:2:0>", "/block/loop0", "/block/zram0", "/block/md_zoo", "/block/dm-0",
                 "/block/nbd0", "/nvme0n1", "/block/<0:0:1:0>/<0:0:1:0>1"):
        check(any(device.endswith(kind) for device in devices_of(without)), f"there is no {kind} in the guest")
    compare("devices", devices_of(without).items(), devices_of(with_it).items())
    for section in ("links", "units"):
        compare(section, told(without, section), told(with_it, section))
    beside_a_disk(with_it)


# While the boot waits for the disk, what is none of ours comes: CDs are there, then a loop and a mapping.
PLUG_UNIT = r"""[Unit]
DefaultDependencies=no
After=sysroot.mount
[Service]
Type=exec
ExecStart=/bin/sh -c 'modprobe loop; losetup -f /etc/passwd; dmsetup create zoo-early --table "0 8 zero"; \
    udevadm settle; sleep 1; systemctl is-active dev-disk-by\\x2did-virtio\\x2dccvm\\x2dscratch.device >/run/early-device; \
    dmsetup remove zoo-early; losetup -d /dev/loop0; echo "plug 0" >/dev/virtio-ports/ccvm.host'
"""


def is_ours(text):
    return re.search(r"/block/vd[c-z]|/virtual/block/dm-|/module/|ccvm-scratch|scratch|pool", text)


EARLY = TELL + Script(("early", "cat /run/early-device")) + USE


def beside_a_disk(without):
    """With a marker the same for each device that is not ours; and none of them stands in for a disk that is late."""
    image = Image(directory() / "disk", GIB)
    files = unit("fault-plug.service", PLUG_UNIT, "sysinit.target")
    devices = [*SLOT1, *image.backend()]
    report = boot_zoo("no-harm-marker", script=EARLY, files=files, devices=devices, append=f"{DISK} {MOUNTS}", meanwhile=plug(0))
    check_equal(report.line("early"), "inactive", "the disk's device unit before the disk")
    check_encrypted(report, GIB)
    check_use(report)
    theirs = devices_of(report)
    for device, entry in devices_of(without).items():
        if "/block/" in device and not is_ours(device):
            check_equal(theirs.get(device), entry, f"what udev knows of {device}")
    links = set(told(report, "links"))
    check_equal([l for l in told(without, "links") if l not in links and "dm-" not in l], [], "links that are gone")


# A service with a private /var/tmp, which is a directory of the pool.
LOGIND = Script(
    (None, """in_logind() { nsenter --mount --target "$(systemctl show -P MainPID systemd-logind)" "$@"; }
rm /scratch/mine /var/tmp/mine /tmp/x/mine /home/dev/work/mine"""),
    ("logind", """systemctl start systemd-logind && loginctl list-sessions --no-legend; echo $?
in_logind findmnt -nro FSROOT /var/tmp | tail -n 1 | cut -d- -f1-2"""),
    ("renew", "ccvm-scratch renew --yes 2>&1; echo $?"),
    ("logind-renewed", """in_logind touch /var/tmp/new && in_logind findmnt -nro FSROOT /var/tmp | tail -n 1 | cut -d- -f1-2
find /run/ccvm-scratch/pool/var/tmp/systemd-private-*/tmp/new | wc -l
systemctl is-active systemd-logind; loginctl list-sessions --no-legend; echo $?"""),
)
SATA_SCRIPT = USE + LOGIND


@case(seconds=35, quick=True)
def installed_sata():
    """A root on SATA by-id, the scratch disk on SATA too, and all state in RAM.

    A renewal gives systemd-logind, which has a private /var/tmp, one on the new pool.
    """
    image = Image(directory() / "disk", GIB)
    devices = image.device(driver="ide-hd", bus="ide.1")
    report = boot("installed-sata", ID, SATA, f"{DISK} {MOUNTS} rw fstab=0 systemd.volatile=state", devices, SATA_SCRIPT)
    check_encrypted(report, GIB)
    check_use(report, ("tmpfs", "tmpfs"))
    private = "/var/tmp/systemd-private"
    check_equal(report.lines("logind"), ["0", private], "whether systemd-logind answers, and its /var/tmp")
    check_equal(report.lines("renew"), ["0"], "renew beside systemd-logind")
    check_equal(report.lines("logind-renewed"), [private, "1", "active", "0"], "its /var/tmp on the new pool, and itself")


# A container of the system itself, with and without users of its own; it sees the command line of the VM. The first one
# leaves control groups that belong to its root, which only the root of the second may use again.
CONTAINERS = Script((None, r"""
mkdir -p /run/container
mount --bind / /run/container
cat >/run/probe <<'END'
[Unit]
After=multi-user.target
SuccessAction=poweroff
FailureAction=poweroff
[Service]
Type=exec
StandardOutput=append:/said
ExecStart=/bin/sh -c 'grep -o ccvm.vm_disk=1 /proc/cmdline; systemd-detect-virt; systemctl is-active local-fs.target; \
    find /run -name "*scratch*" 2>/dev/null; systemctl list-units --all --plain --no-legend "*scratch*"; \
    ccvm-scratch status | sed "s/^ */status: /"; echo probed'
END
for option in --private-users=pick --private-users=no; do
    section container$option
    timeout 100 systemd-nspawn -b -D /run/container $option --register=no \
        --setenv=SYSTEMD_LOG_TARGET=console --keep-unit --link-journal=no --console=pipe --bind-ro=/run/probe:/etc/systemd/system/probe.service \
        systemd.wants=probe.service systemd.mask=ccvm-report.service </dev/null >/run/console 2>&1
    echo "exit $?" >>/run/console
    cat /said; rm -f /said
    section console$option; tail -n 30 /run/console; echo
done"""))


CONTAINERS_SCRIPT = USE + CONTAINERS


@case(seconds=45)
def installed_fallback():
    """A root on SATA by PARTUUID, and no disk. In its containers nothing of it is done once more."""
    append = f"{DISK} {MOUNTS} ccvm.device_timeout=2"
    report = boot("installed-fallback", PARTUUID, SATA, append, script=CONTAINERS_SCRIPT)
    check_outcome(report, "tmpfs", "device-timeout", [LUKS])
    check_use(report)
    for users in "pick", "no":
        said = report.lines(f"container--private-users={users}")
        expected = ["ccvm.vm_disk=1", "systemd-nspawn", "active", "status: State: off (no disk was asked for)", "probed"]
        check_equal(said, expected, f"what a container has of it (--private-users={users})")


INITRAMFS_SCRIPT = Script(("initrd", "systemctl show -P InitRDTimestampMonotonic; cat /run/ccvm-scratch/attempted")) + USE


@case(seconds=25, oldstable=True)
def installed_initramfs_tools():
    """Debian's default initrd: neither systemd nor anything of ours is in it, and all is done in the real root."""
    devices = Image(directory() / "disk", GIB).device()
    append = f"{DISK} {MOUNTS}"
    report = boot("installed-initramfs-tools", UUID, SCSI, append, devices, INITRAMFS_SCRIPT, initrd="initrd-debian")
    check_encrypted(report, GIB)
    check_use(report)
    check_equal(report.lines("initrd"), ["0", "system"], "start of systemd in an initrd, and where the pool was set up")


# The root has no WWN, without which multipathd takes nothing.
SAN = "scsi-hd,bus=scsi.0,wwn=0x5000c50015ea71a"


MULTIPATH_SCRIPT = Script(
    ("multipathd", "journalctl -b -o cat -u multipathd.service"),
    ("maps", "cat /sys/block/dm-*/dm/uuid | grep mpath"),
) + USE + Script(("var", "systemctl show -P FragmentPath var.mount"))


@case(seconds=30)
def installed_multipath():
    """A root by LABEL. multipathd of the initrd takes every disk that it can, and leaves the scratch disk alone.

    And there is no fstab: systemd-gpt-auto-generator mounts /var.
    """
    image, other = Image(directory() / "disk", GIB), Image(directory() / "other", 16 * MIB)
    devices = image.device(driver=SAN + "a") + other.device(1, "other", driver=SAN + "b")
    rules = pathlib.Path("/usr/lib/udev/rules.d/60-multipath.rules")
    files = {"/etc/multipath.conf": b"defaults {\nfind_multipaths no\n}\n", str(rules): rules.read_bytes()}
    append = f"{DISK} {MOUNTS} rw fstab=0 systemd.machine_id=0123456789abcdef0123456789abcdef"
    report = boot("installed-multipath", LABEL, SCSI, append, devices, MULTIPATH_SCRIPT, files, "initrd-multipath")
    check_equal(report.lines("maps"), ["mpath-35000c50015ea71ab"], f"maps ({report.lines('multipathd')})")
    report.sections["table"] = [line for line in report.lines("table") if " multipath " not in line]
    check_encrypted(report, GIB)
    check_use(report)
    check_equal(report.line("var"), "/run/systemd/generator.late/var.mount", "who mounts /var")
