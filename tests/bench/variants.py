# SPDX-License-Identifier: LGPL-2.1-or-later
"""The variants by name, in the order of the table."""

import functools
import os
import pathlib

import boots
import initrd
from boots import CRYPTTAB, GIB, OURS, REFERENCE, Variant

TIB = 1024 * GIB

def ours(name, title, size, options=""):
    return Variant(name, title, size, f"ccvm.vm_disk=1 {options}", unit=OURS, mount="/scratch")


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
    "ext4-2g": lambda name: ours(name, "ext4, 2 GiB", 2 * GIB),
    "ext4-20g": lambda name: ours(name, "ext4, 20 GiB", 20 * GIB),
    "ext4-128g": lambda name: ours(name, "ext4, 128 GiB", 128 * GIB),
    "ext4-1t": lambda name: ours(name, "ext4, 1 TiB", TIB),
    "header-ram-20g": lambda name: ours(name, "ext4, 20 GiB, Header=ram", 20 * GIB, "ccvm.header=ram"),
    "xfs-20g": lambda name: ours(name, "xfs, 20 GiB", 20 * GIB, "ccvm.fstype=xfs"),
    "btrfs-20g": lambda name: ours(name, "btrfs, 20 GiB", 20 * GIB, "ccvm.fstype=btrfs"),
    "integrity-20g": lambda name: ours(
        name, "ext4, 20 GiB, Integrity=hmac-sha256", 20 * GIB, "ccvm.integrity=hmac-sha256"
    ),
    "integrity-1t": lambda name: ours(name, "ext4, 1 TiB, Integrity=hmac-sha256", TIB, "ccvm.integrity=hmac-sha256"),
    "reference-2g": lambda name: reference(name, "shell reference, 2 GiB", 2 * GIB),
    "reference-20g": lambda name: reference(name, "shell reference, 20 GiB", 20 * GIB),
    "reference-128g": lambda name: reference(name, "shell reference, 128 GiB", 128 * GIB),
    "reference-1t": lambda name: reference(name, "shell reference, 1 TiB", TIB),
    "crypttab-20g": lambda name: crypttab(name, "crypttab, 20 GiB", 20 * GIB),
}
NAMES = list(MAKERS)
# Enough to see whether a change pays.
QUICK = ["ram", "ext4-20g", "reference-20g"]
# Whose disk is measured when it is up; plain-20g is one that is not encrypted.
SPEED = ["plain-20g", "ext4-20g", "integrity-20g", "reference-20g", "crypttab-20g"]
# On which a day's work is done; tmpfs is the guest's RAM.
WORK = ["plain-20g", "tmpfs", "reference-20g", "crypttab-20g", "ext4-20g", "integrity-20g"]


@functools.cache
def make(name):
    return MAKERS[name](name)
