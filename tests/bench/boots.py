# SPDX-License-Identifier: LGPL-2.1-or-later
"""The boots that are compared, and what is asked of each.

A variant differs from the others by its command line, its disk, and files that are appended to the initrd; the guest
image is the same. The guest's clock counts instructions, one a nanosecond, and does not stand still while the CPU is
idle but jumps to the next timer. So a boot takes as long as it has work to do or timers to wait for, whatever else the
host does; and a disk answers at once.
"""

import dataclasses
import itertools
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).parents[1] / "boot"))

import machine  # noqa: E402
import vm  # noqa: E402
from cases import directory  # noqa: E402
from fault import find_in_initrd  # noqa: E402
from vm import VM, Image, check, check_equal  # noqa: E402

# Seconds of the host's clock: an emulated CPU with a large file system to make, on a busy machine.
vm.TIME_LIMIT = 1800

GIB = 1 << 30
OURS = "ccvm-scratch-luks.service"
REFERENCE = "bench-reference.service"
CRYPTTAB = "systemd-cryptsetup@scratch.service"
BY_ID = "/dev/disk/by-id/virtio-ccvm-scratch"

# At the end of a boot. The host looks at the image while the guest is busy: the clock of an idle one would run away.
SCRIPT = r"""
section() { echo "== $1"; }
ask() {
    while :; do :; done & busy=$!
    exec 3<>/dev/virtio-ports/ccvm.host; echo "$1" >&3; read -r answer <&3; exec 3>&-
    kill $busy
}
section times; cat /proc/uptime; head -1 /proc/stat
ask up
@IDLE@
section manager; systemctl show | grep Monotonic
section up; systemctl show multi-user.target -P ActiveEnterTimestampMonotonic
section unit; systemctl show @UNIT@ -p MemoryPeak,Result
section mounted; lsblk -dno TYPE $(readlink -f $(findmnt -nvo SOURCE @MOUNT@))
section status; cat /run/ccvm-scratch/status.json
section journal; journalctl -b -o json --no-pager _PID=1 \
    --output-fields=MESSAGE,MESSAGE_ID,UNIT,JOB_RESULT,_SOURCE_REALTIME_TIMESTAMP
section kernel; journalctl -b -k -o short-monotonic --no-pager
true
"""
IDLE = "sleep 60; ask idle"

# Of the guests, whose consoles are files.
number = itertools.count()

# None: the clock of instructions. "kvm" or "tcg": the host's clock, with that accelerator.
wall_clock = None


@dataclasses.dataclass
class Variant:
    name: str
    title: str
    size: int = 0  # of the disk, in bytes; 0: no disk
    append: str = ""
    files: dict = dataclasses.field(default_factory=dict)
    unit: str = ""  # the one that sets up the disk
    mount: str = ""  # where it is at the end
    initrd: pathlib.Path | None = None  # another one than the guest's
    flush: bool = True  # the host honours flushes; ccvm-scratch-run has them ignored


class BenchVM(VM):
    """A boot by the clock of instructions; with idle it stays up for a minute more. more: QEMU's words for other disks.

    The kernel and its modules are as the distribution has them, and the units' own limits count. What the host has in its
    page cache is there at once by io_uring: without a wait, in which the idle guest's clock would run away.
    """

    def __init__(self, variant, idle=True, script=None, icount="shift=0,sleep=off", more=(), cpus=1):
        script = script or SCRIPT.replace("@IDLE@", IDLE if idle else "")
        script = script.replace("@UNIT@", variant.unit or "init.scope").replace("@MOUNT@", variant.mount or "/")
        self.image = Image(directory() / "disk", variant.size, variant.flush) if variant.size else None
        disk = self.image.device(aio="io_uring") if self.image else []
        super().__init__(
            f"bench-{variant.name}-{next(number)}", f"ccvm.device_timeout=120 {variant.append}", [*disk, *more], script, variant.files,
            initrd=str(variant.initrd or "initrd"), stock=True, counted=not wall_clock and cpus == 1, icount=icount,
            aio="io_uring", patience=0, cpus=cpus,
        )  # fmt: skip
        self.allocated = {}

    def start(self):
        (machine.GUEST / "root.raw").read_bytes()  # into the page cache
        super().start()
        try:
            while (line := self.host.file.readline().decode().strip()):
                self.allocated[line] = self.image.allocated() if self.image else 0
                self.host.write("go on")
        except OSError:
            pass  # the guest has powered off
        return self

    def run(self):
        try:
            return super().run()
        finally:
            shutil.rmtree(self.directory)
            if self.image:
                shutil.rmtree(self.image.path.parent)


def to_int(text):
    return int(text) if text.isdigit() else 0


def properties(lines):
    return dict(line.split("=", 1) for line in lines if "=" in line)


def journal(lines):
    """(microseconds since the kernel's start, entry) of what PID 1 has logged.

    By its own time stamp: when the journal came to read it is later.
    """
    for entry in map(json.loads, lines):
        received, offset = int(entry["__MONOTONIC_TIMESTAMP"]), int(entry["__REALTIME_TIMESTAMP"])
        sent = int(entry.get("_SOURCE_REALTIME_TIMESTAMP", offset))
        yield received - (offset - sent), entry


# SD_MESSAGE_UNIT_STARTING and SD_MESSAGE_UNIT_STARTED
MESSAGES = {"7d4958e842da4a758f6c1cdc7b36dcc5": "starting", "39f53479d3a045ac8e11786248231fbf": "started"}


def events(report):
    """{"starting" and "started": {unit: [times]}}, in µs of guest time."""
    found = {"starting": {}, "started": {}}
    for time, entry in journal(report.lines("journal")):
        if (what := MESSAGES.get(entry.get("MESSAGE_ID"))) and entry.get("UNIT"):
            found[what].setdefault(entry["UNIT"], []).append(time)
    return found


def idle_time(report):
    """µs until the end of the boot in which the CPU had nothing to do; to 20 ms."""
    ticks = report.lines("times")[1].split()
    return (int(ticks[4]) + int(ticks[5])) * 10000


def read_figures(variant, report):
    """What the guest says; times are µs of guest time since the kernel's start."""
    manager = {k: to_int(v) for k, v in properties(report.lines("manager")).items()}
    unit = properties(report.lines("unit"))
    switch_root = manager["UserspaceTimestampMonotonic"]
    found = events(report)
    figures = {
        "variant": variant.name,
        "title": variant.title,
        "initrd": manager["InitRDTimestampMonotonic"],
        "initrd_generators": manager["InitRDGeneratorsFinishTimestampMonotonic"]
        - manager["InitRDGeneratorsStartTimestampMonotonic"],
        "initrd_fs": max(t for t in found["started"]["initrd-fs.target"] if t < switch_root),
        "switch_root": switch_root,
        "up": int(report.line("up")),
        "idle": idle_time(report),
        **found,
    }
    if variant.unit:
        check(unit["Result"] == "success", f"{variant.unit}: {unit}")
        check_equal(report.line("mounted"), "crypt", variant.mount)
        figures["memory"] = to_int(unit["MemoryPeak"])
        figures["work"] = [found["starting"][variant.unit][0], found["started"][variant.unit][0]]
    if variant.unit == OURS:
        figures["status"] = json.loads("\n".join(report.lines("status")))
    return figures


def boot(variant, idle=True):
    guest = BenchVM(variant, idle)
    report = guest.run()
    return {**read_figures(variant, report), "wall": guest.seconds, "allocated": guest.allocated}


# What others' initrds have in /lib/modules: the guest's has it for our service alone.
LOAD = "modprobe -d /usr/lib/ccvm-scratch/modules -a -q dm-crypt crypto-aes"

# The shell reference: the steps of what this project replaces. The pool stays in /run, as ours does.
REFERENCE_SCRIPT = f"""#!/bin/sh
{LOAD}
set -e
udevadm settle
dd if=/dev/urandom of=/run/bench.key bs=64 count=1 2>/dev/null
cryptsetup luksFormat --batch-mode --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \\
    --key-file /run/bench.key {BY_ID}
cryptsetup open --key-file /run/bench.key {BY_ID} scratch
shred -u /run/bench.key
mkfs.ext4 -q -F -E nodiscard /dev/mapper/scratch
mkdir -p /run/bench-scratch
mount /dev/mapper/scratch /run/bench-scratch
"""

REFERENCE_UNIT = """[Unit]
DefaultDependencies=no
IgnoreOnIsolate=yes
After=systemd-udev-trigger.service
Before=initrd-fs.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/bench-reference
"""


def libraries(program):
    """The shared libraries that it is linked with, and their loader."""
    listing = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return [word for word in listing.split() if word.startswith("/")]


def carry(*programs):
    """Programs of the tool tree, which is the guest's Debian, with the libraries that its initrd has not."""
    there = set(find_in_initrd(r"usr/lib/x86_64-linux-gnu/lib[^/]*|usr/lib64/[^/]*"))
    files = {}
    for program in programs:
        for path in [program] + libraries(program):
            # As merged /usr has it: a directory /lib would take the place of the initrd's symlink.
            name = path if path.startswith("/usr/") else "/usr" + path
            if name not in there:
                files[name] = (pathlib.Path(path).read_bytes(), 0o755)
    return files


def reference_files():
    return {
        **carry("/usr/sbin/cryptsetup", "/usr/bin/dd", "/usr/bin/shred", "/usr/bin/mkdir"),
        "/usr/bin/bench-reference": (REFERENCE_SCRIPT.encode(), 0o755),
        f"/usr/lib/systemd/system/{REFERENCE}": REFERENCE_UNIT.encode(),
        f"/usr/lib/systemd/system/initrd-fs.target.wants/{REFERENCE}": f"../{REFERENCE}",
    }


def systemd_cryptsetup():
    """Debian's package of that name, unpacked: neither the tool tree nor the guest has it."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bench-deb-", dir="/var/tmp"))
    (directory / "lists/partial").mkdir(parents=True)
    (directory / "archives/partial").mkdir(parents=True)
    apt = ["apt-get", "-qq", "-o", f"Dir::State::Lists={directory}/lists", "-o", f"Dir::Cache={directory}",
           "-o", "APT::Sandbox::User=root"]
    for words in (["update"], ["download", "systemd-cryptsetup"]):
        subprocess.run(apt + words, check=True, cwd=directory, stdout=sys.stderr)
    [package] = directory.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", package, directory / "root"], check=True)
    return directory / "root"


def crypttab_files():
    root = systemd_cryptsetup()
    files = {}
    for path in ("/usr/bin/systemd-cryptsetup", "/usr/lib/systemd/system-generators/systemd-cryptsetup-generator"):
        files[path] = ((root / path[1:]).read_bytes(), 0o755)
    for path in (root / "usr/lib/systemd/system").glob("*cryptsetup*.target"):
        files[f"/usr/lib/systemd/system/{path.name}"] = path.read_bytes()
    return {
        **files,
        **carry("/usr/lib/systemd/systemd-makefs"),
        f"/etc/systemd/system/{CRYPTTAB}.d/50-bench.conf": f"[Service]\nExecStartPre=-{LOAD}\n".encode(),
        "/etc/crypttab": f"scratch {BY_ID} /dev/urandom tmp=ext4,cipher=aes-xts-plain64,size=512\n".encode(),
        "/etc/fstab": b"/dev/mapper/scratch /sysroot/scratch ext4 noatime 0 0\n",
    }
