# SPDX-License-Identifier: LGPL-2.1-or-later
"""RAM in disguise, the real thing. What this kernel does not have is in test-backing.c."""

import subprocess

from harness import case, equal, loop_device, make_file, mounted, need, refused


def refused_as_ram(place, directory, *words):
    refused(place.run(f"--scratch-dir={directory}", size="64M"), str(directory), "in RAM", *words)


@case("refuses ramfs")
def _(place):
    with mounted(place.path / "ram", "-t", "ramfs", "ramfs") as ram:
        refused_as_ram(place, ram, "(ramfs)")


@case("refuses devtmpfs")
def _(place):
    with mounted(place.path / "ram", "-t", "devtmpfs", "devtmpfs") as ram:
        refused_as_ram(place, ram, "(tmpfs)")  # it is one, to statfs(2)


@case("refuses a bind mount of a tmpfs, and a symbolic link to it")
def _(place):
    with mounted(place.path / "ram", "-t", "tmpfs", "tmpfs") as ram:
        (ram / "sub").mkdir()
        link = place.path / "link"
        link.symlink_to(ram / "sub")
        refused_as_ram(place, link, "(tmpfs)")
        with mounted(place.path / "bound", "--bind", str(ram / "sub")) as bound:
            refused_as_ram(place, bound, "(tmpfs)")


@case("a named image in RAM is refused, too, and is not there afterwards")
def _(place):
    with mounted(place.path / "ram", "-t", "tmpfs", "tmpfs") as ram:
        refused(place.run(f"--keep-image={ram}/image"), "'" + str(ram), "in RAM (tmpfs)")
        equal(list(ram.iterdir()), [])


@case("refuses an overlay whose upper is on a tmpfs, takes one whose upper is on the disk: asked by a block")
def _(place):
    lower = place.path / "lower"
    lower.mkdir()
    with mounted(place.path / "ram", "-t", "tmpfs", "tmpfs") as ram:
        for base, ram_backed in ((ram, True), (place.path, False)):
            upper, work = base / "upper, x", base / "work"
            upper.mkdir()
            work.mkdir()
            escaped = str(upper).replace(",", "\\,")
            options = f"lowerdir={lower},upperdir={escaped},workdir={work}"
            with mounted(place.path / "ovl", "-t", "overlay", "-o", options, "overlay") as ovl:
                if ram_backed:
                    refused_as_ram(place, ovl, "overlay")
                    allowed = place.run(f"--scratch-dir={ovl}", size="64M", CCVM_SCRATCH_ALLOW_TMPFS="1")
                    equal((allowed.returncode, allowed.stderr), (0, ""))
                else:
                    result = place.run(f"--scratch-dir={ovl}", size="64M")
                    equal((result.returncode, result.stderr), (0, ""))
                    assert place.image()[3] <= 64 * 1024, place.image()
                    place.log.unlink()


@case("refuses a file system on a loop device over a file on a tmpfs, also when the file is deleted")
def _(place):
    need("mkfs.ext4")
    with mounted(place.path / "ram", "-t", "tmpfs", "tmpfs") as ram:
        file = make_file(ram / "image file", 128 << 20)
        subprocess.run(["mkfs.ext4", "-q", str(file)], check=True)
        with loop_device(file) as loop, mounted(place.path / "mnt", loop) as mnt:
            refused_as_ram(place, mnt, "(loop")
            file.unlink()
            refused_as_ram(place, mnt, "(loop")


@case("refuses a file system on a loop device over a file on such a one")
def _(place):
    need("mkfs.ext4")
    with mounted(place.path / "ram", "-t", "tmpfs", "tmpfs") as ram:
        outer = make_file(ram / "outer", 256 << 20)
        subprocess.run(["mkfs.ext4", "-q", str(outer)], check=True)
        with loop_device(outer) as loop, mounted(place.path / "outer", loop) as mnt:
            inner = make_file(mnt / "inner", 128 << 20)
            subprocess.run(["mkfs.ext4", "-q", str(inner)], check=True)
            with loop_device(inner) as below, mounted(place.path / "inner", below) as inside:
                refused_as_ram(place, inside, "(loop")


@case("takes a file system on a loop device over a file on the disk")
def _(place):
    need("mkfs.ext4")
    file = make_file(place.path / "file", 256 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(file)], check=True)
    with loop_device(file) as loop, mounted(place.path / "mnt", loop) as mnt:
        result = place.run(f"--scratch-dir={mnt}", size="64M")
        equal((result.returncode, result.stderr), (0, ""))
