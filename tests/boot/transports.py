# SPDX-License-Identifier: LGPL-2.1-or-later
"""The disk on other transports than virtio-pci: the same serial finds it."""

from cases import DISK, GIB, OVERLAY_SCRIPT, check_encrypted, check_overlay, check_scratch, directory
from vm import VM, Image


class MmioVM(VM):
    """A machine without PCI.

    Its clock counts instructions: on a busy host the kernel sometimes hangs when it calibrates its own against it.
    """

    def command(self):
        words = [word.replace("virtio-blk-pci", "virtio-blk-device") for word in super().command()]
        words[words.index("q35")] = "microvm,pcie=off"
        words[words.index("virtio-serial-pci")] = "virtio-serial-device"
        return words + ["-icount", "shift=0"]


def boot(name, machine=VM, bus=(), serial="ccvm-scratch", **attached):
    image = Image(directory() / "disk", GIB)
    devices = [*bus, *image.device(serial=serial, **attached)]
    report = machine(name, f"{DISK} ccvm.nix=overlay ccvm.serial={serial}", devices, OVERLAY_SCRIPT).run()
    check_encrypted(report, GIB)
    check_scratch(report, "ext4")
    check_overlay(report, "ext4")


def virtio_mmio():
    boot("virtio-mmio", MmioVM)


def virtio_scsi():
    boot("virtio-scsi", bus=["-device", "virtio-scsi-pci"], driver="scsi-hd", serial="Another_1.of-20-chrs")


def nvme():
    boot("nvme", driver="nvme", serial="another")
