# SPDX-License-Identifier: LGPL-2.1-or-later
"""Boots in which something fails, and what is asked of all of them.

The fault comes in from outside: by QEMU's arguments, by QMP while the guest runs, or by files that are appended
to the one initrd. The guest's clock counts its instructions (-icount): how long the boot took does not depend on
what else the machine does.
"""

import fcntl
import json
import os
import pathlib
import re
import stat
import subprocess

from cases import DISK, GIB, LUKS, OVERLAY_SCRIPT, check_degraded, check_encrypted, check_overlay, check_scratch
from cases import directory
from vm import GUEST, LOGS, VM, Image, Port, check, check_equal

# Compiled from fault.c.
SHIM = os.environ.get("CCVM_FAULT", "/nonexistent")

# Seconds of guest time that a fault may cost.
BOUND = 15

SCRIPT = r"""
section keyring; grep -e cryptsetup -e logon /proc/keys
section zram; ls -d /sys/block/zram[1-9]* 2>/dev/null
section swaps; tail -n +2 /proc/swaps
section booted; systemctl show multi-user.target -P ActiveEnterTimestampMonotonic
"""

DROP_IN = "/etc/systemd/system/{}.d/90-fault.conf"


def cpio(files):
    """An initrd's archive (newc) of {path: content}: bytes, (bytes, mode), or the target of a symlink as a str.

    Directories above the paths are made too. What is in the initrd already is replaced.
    """
    entries = {}
    for path, content in files.items():
        for parent in pathlib.PurePath(path).parents:
            if str(parent) != "/":
                entries[str(parent)] = (stat.S_IFDIR | 0o755, b"")
        if isinstance(content, str):
            entries[path] = (stat.S_IFLNK | 0o777, content.encode())
        else:
            data, mode = content if isinstance(content, tuple) else (content, 0o644)
            entries[path] = (stat.S_IFREG | mode, data)

    archive = b""
    for inode, (path, (mode, data)) in enumerate(sorted(entries.items()) + [("/TRAILER!!!", (0, b""))], 1):
        name = path[1:].encode() + b"\0"
        fields = [inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name
        archive += head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)
    return archive + bytes(-len(archive) % 512)


def find_in_initrd(pattern):
    """The paths in the initrd that match the regular expression."""
    names = re.findall(rb"0707010[0-9A-Fa-f]{103}([^\0]+)\0", (GUEST / "initrd").read_bytes())
    found = ["/" + name.decode() for name in names if re.fullmatch(pattern, name.decode())]
    check(found, f"the initrd has nothing like {pattern}")
    return found


def program(*paths):
    """Files of programs of this system, which is the guest's too, and of the libraries that they need."""
    libraries = re.findall(r"=> (/\S+)", subprocess.check_output(["ldd", *paths], text=True))
    files = {}
    # By the names that are asked for, which may be links: of programs, and of what the loader looks for.
    for name in [*paths, *(file if file.startswith("/usr/") else "/usr" + file for file in libraries)]:
        real = os.path.realpath(name)
        files[real] = (pathlib.Path(real).read_bytes(), 0o755)
        if real != name:
            files[name] = real
    return files


def unit(name, text, target, link="wants"):
    """Files of a unit that target wants, or requires."""
    directory = "/etc/systemd/system"
    return {f"{directory}/{name}": text.encode(), f"{directory}/{target}.{link}/{name}": f"../{name}"}


def drop_in(unit, text):
    return {DROP_IN.format(unit): text.encode()}


def shim(at, do):
    """Files by which ccvm-scratch-setup runs into fault.c's point."""
    service = f"[Service]\nEnvironment=LD_PRELOAD=/usr/lib/fault.so FAULT_AT={at} 'FAULT_DO={do}'\n"
    with open(SHIM, "rb") as f:
        return {"/usr/lib/fault.so": (f.read(), 0o755), **drop_in(LUKS, service)}


class Qmp(Port):
    """QEMU's monitor."""

    def __init__(self, path, process):
        super().__init__(path, process)
        self.read()  # the greeting
        self.execute("qmp_capabilities")

    def execute(self, command, **arguments):
        self.write(json.dumps({"execute": command, "arguments": arguments}))
        while True:
            answer = json.loads(self.read())
            if "event" not in answer:
                check("return" in answer, f"{command} failed: {answer}")
                return answer["return"]


class FaultVM(VM):
    """A boot with files appended to its initrd, and with QMP (self.qmp).

    While the guest runs, meanwhile(self) does the host's part.
    """

    def __init__(self, name, append="", devices=(), script="", files=None, meanwhile=lambda vm: None):
        append = f"{DISK} ccvm.nix=overlay ccvm.device_timeout=10 {append}"
        super().__init__(name, append, devices, OVERLAY_SCRIPT + SCRIPT + script)
        self.meanwhile = meanwhile
        self.cpu = None  # another one than usual
        self.disk_first = False  # before the root, as /dev/vda
        self.initrd = self.directory / "initrd"
        self.initrd.write_bytes((GUEST / "initrd").read_bytes() + cpio(files or {}))

    def command(self):
        command = super().command()
        # The units' own limits count here.
        patience = command.index("-smbios")
        del command[patience : patience + 2]
        if self.cpu:
            command[command.index("-cpu") + 1] = self.cpu
        # A port for a disk that comes or goes while the guest runs.
        early = ["-device", "pcie-root-port,id=slot1,chassis=1"]
        if self.disk_first:
            early += self.devices
            del command[len(command) - len(self.devices) :]
        root = command.index("-blockdev")
        command[root:root] = early
        return command + [
            "-icount", "shift=0",
            "-qmp", f"unix:{self.directory}/qmp,server=on,wait=off",
        ]

    def plug(self, number=0):
        """Attaches the disk whose image is scratchN in a slot of its own; slot1 is always there."""
        self.qmp.execute(
            "device_add",
            driver="virtio-blk-pci",
            drive=f"scratch{number}",
            serial="ccvm-scratch",
            bus=f"slot{number + 1}",
        )

    def start(self):
        super().start()
        try:
            self.qmp = Qmp(self.directory / "qmp", self.process)
            self.meanwhile(self)
        except BaseException:
            self.process.kill()
            self.wait()  # for what was said until then
            raise
        return self


def seconds(report):
    """Guest time from the kernel's start until the boot was finished."""
    return int(report.line("booted")) / 1e6


def reference():
    """The same of a boot in which nothing fails: measured once a run, whoever asks first."""
    path = LOGS / f"fault-free-{GUEST.name}"
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            image = Image(directory() / "disk", GIB)
            report = FaultVM("fault-free", devices=image.device()).run()
            check_encrypted(report, GIB)
            path.write_text(str(seconds(report)))
    return float(path.read_text())


def check_time(report):
    late = seconds(report) - reference()
    print(f"# finished {late:+.2f} s of guest time after the fault-free boot")
    check(late < BOUND, f"the boot finished {late:.1f} s after the fault-free one, {BOUND} are allowed")


def mounts(report):
    return json.loads("\n".join(report.lines("mounts")))["filesystems"]


def check_one_pool(report, source, others=()):
    """One mount of the pool, one of each directory, and no other use of a disk than others: mount points, swap."""
    targets = [m["target"] for m in mounts(report)]
    for target in ("/run/ccvm-scratch/pool", "/scratch", "/nix/.rw-store", "/nix/store"):
        check_equal(targets.count(target), 1, f"mounts on {target}")
    check_equal(report.mount("/run/ccvm-scratch/pool")["source"], source, "source of the pool")
    disks = {m["target"]: m["source"].split("[")[0] for m in mounts(report) if m["source"]}
    found = [t for t, s in disks.items() if re.match(r"/dev/(vd|dm-|mapper/)", s) and s != source]
    found += [os.path.basename(line.split()[0]) for line in report.lines("swaps")]
    check_equal(found, list(others), "mounts of disks, and swap")


def check_fault(report, reason, others=()):
    """The whole outcome of a fault: in time, in RAM, reported, and nothing else left."""
    check_degraded(report, reason)
    check_one_pool(report, "ccvm-scratch", others)
    check_equal(report.lines("keyring"), [], "keys left in keyrings")
    check_equal(report.lines("zram"), [], "devices for tags that are left")
    check_time(report)


def check_no_fault(report, size, **expected):
    """What looked like one, and the disk is used all the same."""
    check_encrypted(report, size, **expected)
    check_scratch(report, "ext4")
    check_overlay(report, "ext4")
    check_one_pool(report, "/dev/mapper/ccvm-scratch")
    check_equal(report.lines("keyring"), [], "keys left in keyrings")
    check_time(report)
