# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the volume key is after the boot: in dm-crypt's cipher, and nowhere else; after a kexec nowhere at all."""

import mmap
import pathlib
import shutil
import subprocess

from cases import GIB, count, directory
from fault import SHIM, FaultVM, check_no_fault, shim
from machine import GUEST
from registry import case
from script import Script
from shutdown import ORDERLY
from vm import Image, check, check_equal


def occurrences(path, needles):
    """How often each is in the file."""
    with open(path, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as memory:
        found = []
        for needle in needles:
            positions, at = 0, memory.find(needle)
            while at >= 0:
                positions, at = positions + 1, memory.find(needle, at + 1)
            found.append(positions)
        return found


def dump(vm, name):
    """The guest's whole memory, while it stands still."""
    path = vm.directory / name
    vm.qmp.execute("stop")
    vm.qmp.execute("dump-guest-memory", paging=False, protocol=f"file:{path}")
    vm.qmp.execute("cont")
    return path


def hear_key(vm):
    """The volume key, its first and its second half."""
    key = bytes(byte ^ 0xA5 for byte in bytes.fromhex(vm.host.read()))
    check_equal([len(key), len(set(key)) > 20], [64, True], "the volume key")
    return [key, key[:32], key[32:]]


# Stops while it runs, as the one program that setup starts.
ASKING_MKFS = b"""#!/bin/sh
exec 3<>/dev/virtio-ports/ccvm.host; echo mkfs >&3; read -r answer <&3; exec 3>&-
exec /usr/sbin/mke2fs -t ext4 "$@"
"""


KEY_SCRIPT = Script(
    ("use", """head -c 8M /dev/urandom >/scratch/used; sync; echo used
ask running"""),
    ("wipe", """ccvm-scratch wipe --yes; echo $?
ask wiped"""),
)


@case(seconds=40)
def volume_key_in_memory():
    """All of the guest's memory is searched for the volume key: processes, /run, the journal; and so is the image.

    fault.c tells the key, masked, so that it does not itself put it into memory. An AES key schedule begins with
    the key, and there are two, of 256 bits each, in the one cipher of dm-crypt: each half of the key is found
    exactly once, and the two not together: while mkfs runs, and later. After "ccvm-scratch wipe", which makes the kernel forget that cipher,
    neither is: so it was no process, no page of a file, no message and no freed memory that had it.
    """
    image = Image(directory() / "disk", GIB)
    found = {}

    def search(vm):
        needles = hear_key(vm)
        for when in ("mkfs", "running", "wiped"):
            vm.hear(when)
            # The kernel frees the key that libcryptsetup has handed it by a keyring a little later (RCU).
            for _ in range(10):
                path = dump(vm, when)
                check(path.stat().st_size >= GIB, "the dump is not of all memory")
                found[when] = occurrences(path, needles)
                path.unlink()
                if when != "mkfs" or found[when][0] == 0:
                    break
            vm.host.write("go")
        found["image"] = [count(image.path, needle) for needle in needles]

    files = {**shim("activated", "key"), "/usr/sbin/mkfs.ext4": (ASKING_MKFS, 0o755)}
    report = FaultVM("volume-key-in-memory", "", image.device(), KEY_SCRIPT, files, search, stock=True).run()
    check_no_fault(report, GIB)
    check_equal([report.line("use"), report.line("wipe")], ["used", "0"], "the guest's part")
    print(f"# the key, its first and its second half are found: {found}")
    check_equal(found["mkfs"], [0, 1, 1], "in memory while mkfs runs: the key, its first half, its second half")
    check_equal(found["running"], [0, 1, 1], "in memory: the key, its first half, its second half")
    check_equal(found["wiped"], [0, 0, 0], "in memory after the wipe")
    check_equal(found["image"], [0, 0, 0], "in the image")


def kernel_disk(number):
    """A disk with the guest's own kernel and initrd, and with the program that loads them."""
    tree = directory()
    for file in (GUEST / "vmlinuz", GUEST / "initrd", pathlib.Path(SHIM).parent / "kexec"):
        shutil.copy(file, tree)
    path = directory() / "kernel.erofs"
    subprocess.run(["mkfs.erofs", "--quiet", path, tree], check=True)
    return Image(path, 0).device(number, "kernel", read_only=True)


KEXEC_SCRIPT = Script((
    None,
    'ask stage\nif [ "$answer" = first ]; then'
    + ORDERLY
    + r"""
    mkdir /run/kernel; mount -t erofs /dev/disk/by-id/virtio-kernel /run/kernel
    /run/kernel/kexec /run/kernel/vmlinuz /run/kernel/initrd "$(cat /proc/cmdline)" && systemctl kexec && sleep 100
    exit 1
fi
ask dump""",
))  # fmt: skip


@case(seconds=50)
def kexec():
    """The next kernel has a pool of its own, and in the memory that it took over the old key is nowhere."""
    image = Image(directory() / "disk", GIB)
    found = []

    def search(vm):
        needles = hear_key(vm)
        for stage in ("first", "second"):
            vm.hear("stage")
            vm.host.write(stage)
        vm.hear("dump")
        path = dump(vm, "dump")
        found.extend(occurrences(path, needles))
        path.unlink()
        vm.host.write("go")

    devices = image.device() + kernel_disk(1)
    report = FaultVM("kexec", "", devices, KEXEC_SCRIPT, shim("activated", "key"), search, stock=True).run()
    check_no_fault(report, GIB)
    check_equal(found, [0, 0, 0], "in memory: the old key, its first half, its second half")
