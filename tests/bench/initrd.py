# SPDX-License-Identifier: LGPL-2.1-or-later
"""The initrd without the package, what the package adds to it, and what its generator costs."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from boots import machine
from report import table

GUEST = machine.GUEST

# As tests/guest/finalize.chroot has it, but for our module.
DRACUT = """
dracut --force --kver "$(ls /usr/lib/modules)" --no-hostonly --no-early-microcode --nofscks --nostrip --no-compress \
    --modules systemd-initrd \
    --add-drivers "erofs overlay virtio_blk virtio_console virtio_mmio virtio_pci virtio_scsi sd_mod nvme" /initrd
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
        mode, length, name_length = fields[1], fields[6], fields[11]
        name = data[position + 110 : position + 109 + name_length].decode()
        begin = position + 110 + name_length + 3 & ~3
        if mode & 0o170000 == 0o100000:
            found[name] = data[begin : begin + length]
        position = begin + length
    return found


KINDS = (
    ("generator, program, units of this package", r"(?!.*/modules/).*ccvm-scratch.*"),
    ("libsystemd, which udev's initrd has not", r".*/libsystemd\.so.*"),
    ("libcryptsetup, libdevmapper, libjson-c", r".*/lib(cryptsetup|devmapper|json-c)\..*"),
    ("dm: dmsetup, udev rules", r".*/dmsetup|.*/[0-9-]*[^/]*dm[^/]*\.(rules|sh)"),
    ("kernel modules: dm, ciphers", r"usr/lib/(ccvm-scratch/.*/)?modules/.*/kernel/(crypto|arch|drivers/md)/.*"),
    ("kernel modules: file systems, what they need", r"usr/lib/(ccvm-scratch/.*/)?modules/.*/kernel/(fs|lib)/.*"),
    ("mkfs for ext4, xfs, btrfs; their libraries", r"usr/sbin/mk.*|etc/mke2fs.conf|.*/lib(ext2fs|e2p|com_err|uuid|lzo2|inih|urcu).*"),
)


def added(cache):
    """[(what, bytes)] by which our module makes the initrd larger, and the whole difference of the archives."""
    without = without_package(cache)
    before, after = files(without), files(GUEST / "initrd")
    sizes = {kind: 0 for kind, _ in KINDS} | {"all else": 0}
    for name, data in after.items():
        extra = len(data) - len(before.get(name, b""))
        kind = next((kind for kind, pattern in KINDS if re.fullmatch(pattern, name)), "all else")
        sizes[kind] += extra
    sizes["the whole archive, uncompressed"] = (GUEST / "initrd").stat().st_size - without.stat().st_size
    return sizes


GENERATOR = "usr/lib/systemd/system-generators/ccvm-scratch-generator"
COMMAND_LINES = {
    "no marker": "quiet",
    "a disk": "quiet ccvm.vm_disk=1",
    "a disk, NixStore=overlay": "quiet ccvm.vm_disk=1 ccvm.nix=overlay",
}


def generator_instructions():
    """{case: instructions}, those of the dynamic linker among them."""
    program = pathlib.Path(tempfile.mkdtemp(dir="/var/tmp")) / "generator"
    program.write_bytes(files(GUEST / "initrd")[GENERATOR])
    program.chmod(0o755)
    counts = {}
    for case, command_line in COMMAND_LINES.items():
        output = tempfile.mkdtemp()
        valgrind = subprocess.run(
            ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, output, output, output],
            env={"SYSTEMD_IN_INITRD": "1", "SYSTEMD_PROC_CMDLINE": command_line, "PATH": os.environ["PATH"]},
            check=True, capture_output=True, text=True,
        ).stderr
        counts[case] = int(re.search(r"Collected : (\d+)", valgrind)[1])
    return counts


def write(path, cache):
    rows = [[kind, f"{count / 1024:.0f}"] for kind, count in added(cache).items()]
    text = "## What the package adds to the initrd\n\n" + table(["KiB, uncompressed", "larger by"], rows)
    rows = [[case, f"{count:,}"] for case, count in generator_instructions().items()]
    text += "## The generator\n\n" + table(["callgrind", "instructions of one run"], rows)
    path.write_text(text)
