# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a VM is made of, and QEMU's command line for it."""

import base64
import dataclasses
import os
import pathlib
import stat
from collections.abc import Callable, Mapping, Sequence

from script import REPORT, Script

GUEST = pathlib.Path(os.environ.get("CCVM_GUEST", "/nonexistent"))

# Whether this machine's own CPU runs the guests. There a clock cannot count instructions.
KVM = os.environ.get("CCVM_KVM") == "1"

SETUP_UNIT = "ccvm-scratch-luks.service"

# With erms and fsrm the kernel copies and clears memory byte by byte; la57 is a level of page tables more.
CPU = "max,la57=off,-erms,-fsrm"

# What an emulated boot pays most for and no case asks about, but for the stock ones: in the kernel, then in its services.
UNUSED = {
    "rd.systemd.mask": (
        "kmod-static-nodes", "systemd-sysctl", "systemd-tmpfiles-setup", "systemd-tmpfiles-setup-dev",
        "systemd-tmpfiles-setup-dev-early",
    ),
    "systemd.mask": (
        "modprobe@drm", "systemd-journal-flush", "systemd-sysctl", "systemd-tmpfiles-setup-dev", "systemd-user-sessions",
    ),
}  # fmt: skip
CHEAP = " ".join((
    "mitigations=off init_on_alloc=0 lsm= audit=0 cryptomgr.notests 8250.nr_uarts=1 systemd.getty_auto=no",
    *(f"{option}={unit}.service" for option, units in UNUSED.items() for unit in units),
))  # fmt: skip

# Devices of which udev has something to do: not the 64 terminals, and what the CPU and the memory are made of.
COLDPLUG = """[Service]
ExecStart=
ExecStart=udevadm trigger --type=devices --action=add --prioritized-subsystem=module,block,net \
""" + " ".join(
    f"--subsystem-match={name}" for name in ("acpi", "block", "cpu", "module", "net", "nvme", "pci", "platform", "scsi", "virtio", "virtio-ports")
) + "\n"  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Root:
    """The guest's own disk: the kernel's options, and QEMU's words."""

    options: str
    words: Callable[["Machine"], Sequence[str]]


def erofs_words(machine):
    file = f"file.driver=file,file.aio={machine.aio},file.filename={machine.guest}/root.raw,file.locking=off"
    return ["-blockdev", f"driver=raw,node-name=root,read-only=on,{file}", "-device", f"virtio-blk-{machine.transport},drive=root,serial=ccvm-root"]


def thrown_away(image, *device):
    """A root of its own kind, to which the guest may write; that is gone when it ends."""
    drive = "if=none,id=root,format=raw,snapshot=on,file.locking=off"
    return lambda machine: ["-drive", f"{drive},file={machine.guest}/{image}", *device]


EROFS = Root("root=PARTLABEL=ccvm-root rootfstype=erofs systemd.volatile=overlay", erofs_words)


@dataclasses.dataclass
class Machine:
    """One VM. Lists of words are QEMU's own; the command line has them in the order of the fields."""

    name: str
    append: str = ""  # options of the kernel, besides the root's and the harness's
    devices: Sequence[str] = ()  # disks and their like
    script: Script | str = Script()  # behind REPORT; a text is all of the script
    files: Mapping[str, object] = dataclasses.field(default_factory=dict)  # in the initrd besides, as cpio() takes them
    guest: pathlib.Path = GUEST
    initrd: str = "initrd"  # of the guest
    stock: bool = False  # the kernel and its modules exactly as the distribution has them
    cpu: str = CPU
    cpus: int = 1
    counted: bool = False  # the guest's clock counts its instructions, and does not know how busy the host is
    icount: str = "shift=0"  # how
    aio: str = "threads"  # of the root
    memory: int = 1024  # MiB
    board: str = "q35,sata=off,smbus=off"
    transport: str = "pci"  # of the harness's virtio devices; "device" where there is no PCI
    first: Sequence[str] = ()  # what the kernel finds before the root
    root: Root = EROFS
    last: Sequence[str] = ()  # what it finds after all others
    credentials: Mapping[str, str] = dataclasses.field(default_factory=dict)  # system credentials: name to QEMU's string=…, file=…
    patience: int = 90  # seconds that the set-up may take; 0: as many as the unit says
    wrapper: Sequence[str] = ()  # ccvm-scratch-run and its options
    fixed: bool = False  # whose command line is one that a wrapper does not extend, as that of a kernel in a signed image
    generation: int | None = None  # of the VM, by which clones are told apart
    incoming: pathlib.Path | None = None  # the file that it goes on from


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


def kernel(machine):
    """The cheap kernel is the same one, unpacked."""
    plain = machine.guest / "vmlinux"
    return plain if plain.exists() and not machine.stock else machine.guest / "vmlinuz"


def initrd(machine, place):
    """The guest's, with the modules unpacked and without signatures unless they are to be as they are, and the files."""
    plain = machine.guest / f"{machine.initrd}-plain"
    path = plain if plain.exists() and not machine.stock else machine.guest / machine.initrd
    files = dict(machine.files)
    if is_old(machine):
        files |= {f"/etc/systemd/system/{unit}.d/{name}.conf": text.encode() for unit, name, text in drop_ins(machine)}
    if not files:
        return path
    whole = place / "initrd"
    whole.write_bytes(path.read_bytes() + cpio(files))
    return whole


def options(machine):
    """Of the kernel."""
    return " ".join((
        # No waiting for a console that answers.
        f"{machine.root.options} console=ttyS0 quiet panic=-1 TERM=dumb",
        "mitigations=off" if machine.stock else CHEAP,
        # Where guest time passes with the host's clock, a busy host must not look like a missing disk.
        "" if machine.counted else "ccvm.device_timeout=120",
        machine.append,
    ))  # fmt: skip


def script(machine):
    return machine.script if isinstance(machine.script, str) else (REPORT + machine.script).text()


def clock(machine):
    """What runs the guest's CPU, and its clock."""
    if KVM:
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", "tcg", "-cpu", machine.cpu, *(["-icount", machine.icount] if machine.counted else [])]


def ports(machine, place):
    """The report goes to a file; by the other port guest and host wait for each other."""
    return [
        "-device", f"virtio-serial-{machine.transport}",
        "-chardev", f"file,id=port,path={place}/port",
        "-device", "virtserialport,chardev=port,name=ccvm.test",
        "-chardev", f"socket,id=host,path={place}/host,server=on,wait=off",
        "-device", "virtserialport,chardev=host,name=ccvm.host",
    ]  # fmt: skip


def credentials(machine, place):
    words = ["-fw_cfg", f"name=opt/io.systemd.credentials/ccvm.test,file={place}/script"]
    for name, value in machine.credentials.items():
        words += ["-fw_cfg", f"name=opt/io.systemd.credentials/{name},{value}"]
    if not is_old(machine):
        for unit, name, text in drop_ins(machine):
            value = base64.b64encode(text.encode()).decode()
            words += ["-smbios", f"type=11,value=io.systemd.credential.binary:systemd.unit-dropin.{unit}~{name}={value}"]
    return words


def drop_ins(machine):
    """Of units in the guest, initrd and system: unit, name, text."""
    if machine.patience and not machine.counted:
        yield SETUP_UNIT, "patience", f"[Service]\nTimeoutStartSec={machine.patience}\n"
    if not machine.stock:
        yield "systemd-udev-trigger.service", "cheap", COLDPLUG


def is_old(machine):
    """Whether the guest's systemd takes no drop-ins as credentials (before 256); its initrd has them, and its image."""
    release = machine.guest / "release"
    return release.exists() and release.read_text().strip() == "bookworm"


def arguments(machine, place, console):
    """QEMU's command line, or its wrapper's. place: the directory with the VM's own files and sockets."""
    words = [
        *machine.wrapper,
        "qemu-system-x86_64",
        "-machine", machine.board,
        *clock(machine),
        "-smp", str(machine.cpus),
        "-m", str(machine.memory),
        "-nodefaults",
        "-nographic",
        "-no-reboot",
        "-serial", f"file:{console}",
        "-qmp", f"unix:{place}/qmp,server=on,wait=off",
        "-kernel", str(kernel(machine)),
        "-initrd", str(initrd(machine, place)),
        *(["-machine", f"append={options(machine).replace(',', ',,')}"] if machine.fixed else ["-append", options(machine)]),
        *machine.first,
        *machine.root.words(machine),
        *ports(machine, place),
        *credentials(machine, place),
        *machine.devices,
        *machine.last,
    ]  # fmt: skip
    if machine.generation is not None:
        words += ["-device", f"vmgenid,guid=00000000-0000-0000-0000-{machine.generation:012}"]
    if machine.incoming:
        words += ["-incoming", f"exec:cat {machine.incoming}"]  # "file:" from QEMU 8.2 on
    return words
