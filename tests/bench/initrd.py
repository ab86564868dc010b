# SPDX-License-Identifier: LGPL-2.1-or-later
"""The initrd without the package, and what the package adds to it."""

import pathlib
import re
import shutil
import subprocess

from boots import vm

GUEST = vm.GUEST

# As tests/guest/finalize.chroot has it, but for our module.
DRACUT = """
dracut --force --kver "$(ls /usr/lib/modules)" --no-hostonly --no-early-microcode --nofscks --nostrip --no-compress \
    --modules systemd-initrd \
    --add-drivers "erofs overlay virtio_blk virtio_console virtio_mmio virtio_pci virtio_scsi nvme" /initrd
"""


def without_package(cache):
    """An initrd of the same guest that dracut has made without our module."""
    initrd = cache / f"bench-{GUEST.name}.initrd"
    if not initrd.exists():
        root = pathlib.Path("/var/tmp/bench-root")
        subprocess.run(["fsck.erofs", f"--extract={root}", "--overwrite", "-d1", partition()], check=True)
        for name in ("proc", "dev"):
            subprocess.run(["mount", "--rbind", f"/{name}", root / name], check=True)
        subprocess.run(["chroot", root, "/bin/sh", "-c", DRACUT], check=True)
        for name in ("proc", "dev"):
            subprocess.run(["umount", "-lR", root / name], check=True)
        shutil.move(root / "initrd", initrd)
        shutil.rmtree(root)
    return initrd


def partition():
    """The root file system out of the image, which has one partition."""
    table = subprocess.run(
        ["sfdisk", "--dump", GUEST / "root.raw"], check=True, capture_output=True, text=True
    ).stdout
    start, size = (int(re.search(rf"{key}= *(\d+)", table)[1]) * 512 for key in ("start", "size"))
    path = pathlib.Path("/var/tmp/bench-root.erofs")
    with open(GUEST / "root.raw", "rb") as image:
        image.seek(start)
        path.write_bytes(image.read(size))
    return path


def files(initrd):
    """{path: bytes} of the regular files in an uncompressed archive (newc)."""
    data, found, position = initrd.read_bytes(), {}, 0
    while (position := data.find(b"070701", position)) >= 0:
        fields = [int(data[position + 6 + 8 * i : position + 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = data[position + 110 : position + 109 + name_size].decode()
        if mode & 0o170000 == 0o100000:
            found[name] = size
        position = (position + 110 + name_size + 3 & ~3) + (size + 3 & ~3)
    return found


def added(cache):
    """[(what, bytes)] by which our module makes the initrd larger."""
    before, after = files(without_package(cache)), files(GUEST / "initrd")
    kinds = (
        ("the package: generator, program, units", r".*ccvm-scratch.*"),
        ("kernel modules: dm, ciphers, file systems", r"usr/lib/modules/.*"),
        ("mkfs.ext4, mkfs.xfs, mkfs.btrfs", r"usr/sbin/(mk.*)|etc/mke2fs.conf"),
        ("dm: dmsetup, udev rules", r".*/(dmsetup|blkid|.*dm.*\.(rules|sh))"),
        ("libcryptsetup and libcrypto", r".*/lib(cryptsetup|crypto)\..*"),
        ("other libraries", r".*/lib[^/]*\.so.*"),
    )
    sizes = {kind: 0 for kind, _ in kinds} | {"other files": 0}
    for name, size in after.items():
        if extra := size - before.get(name, 0):
            kind = next((k for k, pattern in kinds if re.fullmatch(pattern, name)), "other files")
            sizes[kind] += extra
    return list(sizes.items()), (GUEST / "initrd").stat().st_size - without_package(cache).stat().st_size
