# SPDX-License-Identifier: LGPL-2.1-or-later
"""Do no harm: with the wrapper the VM is what it was, plus one disk. Each command is started with and without it, as far as
a firmware goes, and what that and a guest would see is compared."""

import pathlib
import struct
import subprocess
import time

from harness import Qemu, Skip, case, equal, need, wait_until, warnings

X86 = "qemu-system-x86_64"
OURS = "ccvm-scratch"


def command(machine, *more):
    return (X86, "-M", f"{machine},accel=tcg", "-m", "64", "-nodefaults", *more)


def null_disk(name, device, **extra):
    properties = "".join(f",{key}={value}" for key, value in extra.items())
    return ("-blockdev", f"null-co,node-name={name}", "-device", f"{device},drive={name},id=user-{name}{properties}")


def network(name, device="virtio-net-pci", **extra):
    properties = "".join(f",{key}={value}" for key, value in extra.items())
    return ("-device", f"{device},id=user-{name},romfile={properties}")


def port(name, **extra):
    properties = "".join(f",{key}={value}" for key, value in extra.items())
    return ("-device", f"pcie-root-port,id={name}{properties}")


def walk(devices):
    """All devices of a bus, and below its bridges, in the order in which Linux finds them: a bus before what is below it."""
    for device in sorted(devices, key=lambda d: (d["slot"], d["function"])):
        yield device
    for device in sorted(devices, key=lambda d: (d["slot"], d["function"])):
        yield from walk(device.get("pci_bridge", {}).get("devices", []))


def all_devices(qemu):
    buses = qemu.execute("query-pci")
    return [device for bus in sorted(buses, key=lambda b: b["bus"]) for device in walk(bus["devices"])]


def look(place, vmm, wrapped, *options):
    """What is where on PCI when the firmware is done, what else QEMU has, and what was said on stderr."""
    log = place.path / "firmware"
    log.unlink(missing_ok=True)
    words = ("-chardev", f"file,id=log,path={log}", "-device", "isa-debugcon,iobase=0x402,chardev=log")
    qemu = Qemu(place, (*vmm, *words), *options, wrapped=wrapped, stopped=False)
    wait_until(lambda: "No bootable device" in log.read_text(errors="replace"), "SeaBIOS to be done", 60)
    devices = [(d["qdev_id"], (d["bus"], d["slot"], d["function"]), d["class_info"]["class"]) for d in all_devices(qemu)]
    chardevs = {c["label"] for c in qemu.execute("query-chardev")}
    memory = qemu.execute("query-memory-size-summary")
    status, _, stderr = qemu.end()
    equal(status, 0)
    return devices, chardevs, memory, warnings(stderr)


def compare(place, vmm, *options):
    """Checks that all that was there is where it was. Returns the order of the disks with the wrapper, and what it said."""
    devices, chardevs, memory, _ = look(place, vmm, False)
    with_ours, chardevs_with, memory_with, stderr = look(place, vmm, True, *options)
    theirs = [device for device in with_ours if not device[0].startswith(OURS)]
    equal(theirs, devices)
    equal({label for label in chardevs_with if not label.startswith(OURS)}, chardevs)
    equal(memory_with, memory)
    disks = [name for name, _, kind in with_ours if kind == 0x0100 and (name.startswith((OURS, "user-")) or name == "")]
    equal(len(with_ours) > len(devices), True)
    return disks, stderr


DISK = f"{OURS}-disk"


@case("addresses, buses and the order of disks are what they were: q35")
def _(place):
    for more in (
        (*null_disk("a", "virtio-blk-pci"), *network("n")),
        # By hand, as people number them, and in one slot, as libvirt does.
        (*port("rp0", addr="0x1c"), *network("n", bus="rp0"), *null_disk("a", "virtio-blk-pci")),
        (*port("rp0", addr="0x1b"), *null_disk("a", "virtio-blk-pci", bus="rp0"), *network("n")),
        (*port("rp0", addr="0x1d"), *null_disk("a", "virtio-blk-pci", bus="rp0"), *null_disk("b", "virtio-blk-pci", addr="0x1a")),
        (
            *port("p1", addr="0x2.0", multifunction="on", chassis=1), *port("p2", addr="0x2.1", chassis=2), *port("p3", addr="0x2.2", chassis=3),
            *null_disk("a", "virtio-blk-pci", bus="p1"), *network("n", bus="p2"), *network("m", "e1000e", bus="p3"),
        ),
        ("-device", "pxb-pcie,id=second,bus_nr=128,bus=pcie.0", *null_disk("a", "virtio-blk-pci", bus="pcie.0")),
        (*null_disk("a", "nvme", serial="x"), *network("n", "e1000e")),
        ("-device", "virtio-scsi-pci,id=user-s", "-device", "qemu-xhci,id=user-x", "-device", "VGA,id=user-v"),
        ("-drive", "if=virtio,format=raw,file.driver=null-co", "-device", "virtio-serial-pci,id=user-c"),
    ):
        for options in ((), (f"--status-file={place.status}",)):
            disks, stderr = compare(place, command("q35", *more), *options)
            equal((more, disks[-1:], stderr), (more, [DISK], []))


@case("addresses, buses and the order of disks are what they were: pc")
def _(place):
    for more in (
        (*null_disk("a", "virtio-blk-pci"), *network("n", "e1000")),
        (*null_disk("a", "virtio-blk-pci", addr="0x10"), *null_disk("b", "virtio-blk-pci", addr="0x1e"), *network("n")),
        ("-drive", "if=virtio,format=raw,file.driver=null-co", "-drive", "if=ide,format=raw,file.driver=null-co", *network("n")),
        ("-device", "pci-bridge,id=b,chassis_nr=1", *network("n", "e1000", bus="b"), *null_disk("a", "virtio-blk-pci")),
    ):
        for options in ((), (f"--status-file={place.status}",)):
            disks, stderr = compare(place, command("pc", *more), *options)
            equal((more, disks[-1:], stderr), (more, [DISK], []))


@case("addresses are what they were with QEMU's own default devices, too")
def _(place):
    for machine in ("q35", "pc"):
        vmm = (X86, "-M", f"{machine},accel=tcg", "-m", "64", "-net", "none", "-serial", "null", "-monitor", "none", "-parallel", "none")
        equal(compare(place, vmm, f"--status-file={place.status}")[1], [])


@case("what cannot be as it was is one warning that says what may change")
def _(place):
    for machine, more in (
        ("q35", (*port("rp0", addr="0x1e"), *null_disk("a", "virtio-blk-pci", bus="rp0"))),
        ("q35", network("n", "e1000e", addr="0x1e")),
        ("pc", null_disk("a", "virtio-blk-pci", addr="0x1f")),
        ("pc", ("-device", "pci-bridge,id=b,chassis_nr=1", *null_disk("a", "virtio-blk-pci", bus="b"))),
    ):
        qemu = Qemu(place, command(machine, *more))
        status, _, stderr = qemu.end()
        equal((more, status, len(warnings(stderr))), (more, 0, 1))
        assert "/dev/vda" in stderr and "enp1s0" in stderr, stderr


# Which disk a firmware starts: one that says so by a byte on the debug console, and then does nothing more.


def code(letter):
    """mov $LETTER, %al; out %al, $0xe9; jmp . — the same bytes in each mode of the CPU."""
    return bytes([0xB0, ord(letter), 0xE6, 0xE9, 0xEB, 0xFE])


def boot_sector(path, letter):
    path.write_bytes(code(letter).ljust(510, b"\0") + b"\x55\xaa" + bytes((1 << 20) - 512))
    return path


def program(letter):
    """The smallest EFI application: headers, and one page of code."""
    dos = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40)
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 0xF0, 0x22)
    optional = struct.pack("<HBBIIIII", 0x20B, 0, 0, 0x200, 0, 0, 0x1000, 0x1000)
    optional += struct.pack("<QIIHHHHHHIIIIHHQQQQII", 0, 0x1000, 0x200, 0, 0, 0, 0, 0, 0, 0, 0x2000, 0x200, 0, 10, 0, 0, 0, 0, 0, 0, 16)
    section = b".text".ljust(8, b"\0") + struct.pack("<IIIIIIHHI", 0x200, 0x1000, 0x200, 0x200, 0, 0, 0, 0, 0x60000020)
    head = dos + coff + optional.ljust(0xF0, b"\0") + section
    return head.ljust(0x200, b"\0") + code(letter).ljust(0x200, b"\0")


def efi_disk(path, letter):
    need("mcopy")
    with open(path, "wb") as f:
        f.truncate(64 << 20)
    file = path.with_suffix(".efi")
    file.write_bytes(program(letter))
    subprocess.run(["mformat", "-i", str(path), "-F", "::"], check=True)
    subprocess.run(["mmd", "-i", str(path), "::/EFI", "::/EFI/BOOT"], check=True)
    subprocess.run(["mcopy", "-i", str(path), str(file), "::/EFI/BOOT/BOOTX64.EFI"], check=True)
    return path


def booted(place, vmm, wrapped, seconds):
    """The letter of the disk that was started."""
    said = place.path / "said"
    said.unlink(missing_ok=True)
    qemu = Qemu(place, (*vmm, "-debugcon", f"file:{said}"), wrapped=wrapped, stopped=False)
    end = time.monotonic() + seconds
    while not (text := said.read_text() if said.exists() else "") and time.monotonic() < end:
        time.sleep(0.05)
    qemu.process.kill()
    qemu.process.communicate()
    return text[:1]


ROOTS = {
    "virtio-blk": ("-device", "virtio-blk-pci,drive={0}"),
    "virtio-scsi": ("-device", "virtio-scsi-pci,id=s{0}", "-device", "scsi-hd,bus=s{0}.0,drive={0}"),
    "AHCI": ("-device", "ahci,id=s{0}", "-device", "ide-hd,bus=s{0}.0,drive={0}"),
    "NVMe": ("-device", "nvme,drive={0},serial={0}"),
    "USB": ("-device", "qemu-xhci,id=s{0}", "-device", "usb-storage,bus=s{0}.0,drive={0}"),
    "LSI": ("-device", "lsi53c895a,id=s{0}", "-device", "scsi-hd,bus=s{0}.0,drive={0}"),
    "pvscsi": ("-device", "pvscsi,id=s{0}", "-device", "scsi-hd,bus=s{0}.0,drive={0}"),
    "MegaRAID": ("-device", "megasas,id=s{0}", "-device", "scsi-hd,bus=s{0}.0,drive={0}"),
}


def root(kind, file):
    words = ("-blockdev", f"raw,node-name={file.stem},read-only=off,file.driver=file,file.filename={file}", *ROOTS[kind])
    return tuple(word.replace("{0}", file.stem) for word in words)


@case("SeaBIOS boots the disk that it boots without the wrapper, wherever that is, and whichever comes first")
def _(place):
    disks = [boot_sector(place.path / f"{letter}.raw", letter) for letter in "ab"]
    for machine in ("q35", "pc"):
        for kind in ROOTS:
            vmm = command(machine, *root(kind, disks[0]))
            equal((machine, kind, booted(place, vmm, True, 20)), (machine, kind, "a"))
        for first, second in (("NVMe", "virtio-blk"), ("USB", "AHCI"), ("LSI", "virtio-scsi"), ("AHCI", "NVMe")):
            vmm = command(machine, *root(first, disks[0]), *root(second, disks[1]))
            plain = booted(place, vmm, False, 20)
            assert plain in ("a", "b"), (machine, first, second, plain)
            equal((machine, first, second, booted(place, vmm, True, 20)), (machine, first, second, plain))
    # The scratch disk is none that it could boot: with no other, it goes on to the network or gives up, as without.
    equal(booted(place, command("q35"), True, 3), "")


def firmware():
    for code_file in ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE.fd"):
        if pathlib.Path(code_file).exists():
            return code_file
    raise Skip("no OVMF")


@case("OVMF boots the disk that it boots without the wrapper")
def _(place):
    flash = ("-drive", f"if=pflash,format=raw,readonly=on,file={firmware()}", "-m", "256")

    def boot(wrapped, *kinds):
        # New ones each time: without a flash of its own the firmware keeps its variables, with the boot order, on them.
        disks = [efi_disk(place.path / f"{letter}.raw", letter) for letter in "ab"]
        roots = [word for kind, disk in zip(kinds, disks) for word in root(kind, disk)]
        return booted(place, command("q35", *flash, *roots), wrapped, 90)

    for kind in ("NVMe", "virtio-blk"):
        equal((kind, boot(True, kind)), (kind, "a"))
    plain = boot(False, "AHCI", "virtio-blk")
    assert plain in ("a", "b"), plain
    equal(boot(True, "AHCI", "virtio-blk"), plain)
