# SPDX-License-Identifier: LGPL-2.1-or-later
"""The variants by name, in the order of the table."""

import dataclasses
import functools
import os
import pathlib

import boots
import initrd
from boots import CRYPTTAB, GIB, OURS, REFERENCE, Variant

TIB = 1024 * GIB

def ours(name, title, size, options=""):
    return Variant(name, f"ccvm-scratch, {title}", size, f"ccvm.vm_disk=1 {options}", unit=OURS, mount="/scratch")


def reference(name, title, size):
    return Variant(name, title, size, files=boots.reference_files(), unit=REFERENCE, mount="/run/bench-scratch")


def crypttab(name, title, size):
    return Variant(name, title, size, files=boots.crypttab_files(), unit=CRYPTTAB, mount="/scratch")


def without(name):
    initrd_path = initrd.without_package(pathlib.Path(os.environ["CCVM_CACHE"]))
    return Variant(name, "pure RAM, without the package", initrd=initrd_path)


MAKERS = {
    "without": without,
    "ram": lambda name: Variant(name, "pure RAM, with the package"),
    "ram-disk": lambda name: Variant(name, "the same, and a disk that nobody uses", 20 * GIB),
    "ext4-2g": lambda name: ours(name, "2 GiB", 2 * GIB),
    "ext4-20g": lambda name: ours(name, "20 GiB", 20 * GIB),
    "ext4-128g": lambda name: ours(name, "128 GiB", 128 * GIB),
    "ext4-1t": lambda name: ours(name, "1 TiB", TIB),
    "header-ram-20g": lambda name: ours(name, "20 GiB, Header=ram", 20 * GIB, "ccvm.header=ram"),
    "xfs-20g": lambda name: ours(name, "20 GiB, xfs", 20 * GIB, "ccvm.fstype=xfs"),
    "btrfs-20g": lambda name: ours(name, "20 GiB, btrfs", 20 * GIB, "ccvm.fstype=btrfs"),
    "integrity-20g": lambda name: ours(
        name, "20 GiB, Integrity=", 20 * GIB, "ccvm.integrity=hmac-sha256"
    ),
    "integrity-1t": lambda name: ours(name, "1 TiB, Integrity=", TIB, "ccvm.integrity=hmac-sha256"),
    "reference-2g": lambda name: reference(name, "shell commands, 2 GiB", 2 * GIB),
    "reference-20g": lambda name: reference(name, "shell commands, 20 GiB", 20 * GIB),
    "reference-128g": lambda name: reference(name, "shell commands, 128 GiB", 128 * GIB),
    "reference-1t": lambda name: reference(name, "shell commands, 1 TiB", TIB),
    "crypttab-20g": lambda name: crypttab(name, "crypttab tmp=ext4, 20 GiB", 20 * GIB),
}
NAMES = list(MAKERS)
# Those of the README, which are booted more than once.
OFTEN = ["without", "ram", "ext4-20g", "integrity-20g", "reference-20g", "crypttab-20g"]
# Enough to see whether a change pays.
QUICK = ["ram", "ext4-20g", "reference-20g"]
# What is measured when it is up: plain-20g is a disk that is not encrypted, tmpfs the guest's RAM.
DISKS = ["plain-20g", "tmpfs", "ext4-20g", "integrity-20g", "reference-20g", "crypttab-20g"]
# By guests that have nothing of ours: the commands that prepare what MAKERS has no variant for.
PREPARE = {
    "plain-20g": "mkfs.ext4 -q -F -E nodiscard /dev/$disk; mount /dev/$disk /mnt",
    "tmpfs": "mount -t tmpfs -o size=80% tmpfs /mnt",
}


@functools.cache
def make(name):
    return MAKERS[name](name)


def make_disk(name, flush):
    """(a variant of DISKS, the commands that prepare it)"""
    if name == "plain-20g":
        variant = Variant(name, "plain disk, not encrypted", 20 * GIB, mount="/mnt")
    elif name == "tmpfs":
        variant = Variant(name, "tmpfs in RAM", mount="/mnt")
    else:
        variant = make(name)
    return dataclasses.replace(variant, flush=flush), PREPARE.get(name, "")
