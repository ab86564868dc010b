#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ccvm-scratch-run as a whole, on real file systems, with a stand-in for the VMM. Prints TAP.

Usage: test-run.py WRAPPER FAKE-VMM NO-TMPFILE [WORD…]

NO-TMPFILE is a library to preload. With words, only the cases with one of them in their name run.

Wants root, for mounts in a private mount namespace, and $CCVM_TEST_DIR (default /var/tmp), a directory on a disk.
A case that cannot run is a SKIP that says why.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import resource
import shutil
import signal
import socket
import stat
import statistics
import subprocess
import sys
import tempfile
import time

WRAPPER, STAND_IN, NO_TMPFILE = (os.path.abspath(p) for p in sys.argv[1:4])
# Under a name by which the wrapper knows a VMM.
NAMES = tempfile.TemporaryDirectory(prefix="ccvm-names-")
FAKE_VMM = f"{NAMES.name}/qemu-system-x86_64"
os.symlink(STAND_IN, FAKE_VMM)
DISK = os.environ.get("CCVM_TEST_DIR", "/var/tmp")
GIB = 1 << 30
FS_IOC_GETFLAGS = 0x80086601

CASES = []


class Skip(Exception):
    """A case that this machine cannot run."""


def case(name):
    """Registers a test under the name that the report gives it."""

    def add(function):
        CASES.append((name, function))
        return function

    return add


class Place:
    """One case's directory on the disk: the scratch directory, and the VMM's log beside it."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.scratch = self.path / "scratch"
        self.scratch.mkdir()
        self.log = self.path / "log"
        self.processes = []  # what a case that fails would leave

    def environment(self, todo="exit 0", report=None, **extra):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("CCVM_", "XDG_"))}
        env |= {"HOME": str(self.path), "FAKE_VMM_LOG": str(self.log), "FAKE_VMM_DO": todo}
        if report is not None:
            (self.path / "report").write_bytes(report)
            env["FAKE_VMM_REPORT"] = str(self.path / "report")
        return env | extra

    def command(self, *options, size="1", vmm=(FAKE_VMM,)):
        return [WRAPPER, f"--vm-disk-size={size}", f"--scratch-dir={self.scratch}", *options, "--", *vmm]

    def run(self, *options, size="1", vmm=(FAKE_VMM,), todo="exit 0", report=None, **extra):
        return subprocess.run(
            self.command(*options, size=size, vmm=vmm),
            env=self.environment(todo, report, **extra),
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )

    def start(self, *options, todo="wait", **extra):
        """Starts it and waits until the VMM is there. stderr ends when both the VMM and the watcher have."""
        env = self.environment(todo, **extra)
        process = subprocess.Popen(self.command(*options), env=env, stderr=subprocess.PIPE, text=True)
        self.processes.append(process)
        wait_until(lambda: self.log.exists() and "ready\n" in self.log.read_text(), "the VMM to start")
        return process

    def hear(self, report, *options):
        """Runs it with a guest that reports and lives on for a moment. Returns exit status and stderr."""
        self.log.unlink(missing_ok=True)
        process = self.start(*options, report=report)
        time.sleep(0.1)
        process.terminate()
        _, stderr = process.communicate(timeout=60)
        return process.returncode, stderr

    def facts(self, key):
        """What the VMM's log says under this key."""
        if not self.log.exists():
            return []
        lines = self.log.read_text().splitlines()
        return [line[len(key) + 1 :] for line in lines if line.startswith(key + " ")]

    def image(self):
        """The image's number, target, size in bytes, allocated bytes, mode and links, as the VMM inherited it."""
        for fact in self.facts("fd"):
            head, size, blocks, mode, links = fact.rsplit(" ", 4)
            number, target = head.split(" ", 1)
            if int(number) > 2 and target.startswith(str(self.path)):
                return int(number), target, int(size), int(blocks) * 512, mode, int(links)
        raise AssertionError("the VMM got no image")

    def left(self):
        return sorted(p.name for p in self.scratch.iterdir())


def wait_until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.01)


def equal(got, expected):
    assert got == expected, f"got {got!r}, expected {expected!r}"


def refused(result, status, *words):
    """One line on stderr, with these words in it, nothing on stdout."""
    equal(result.returncode, status)
    equal(result.stdout, "")
    lines = result.stderr.splitlines()
    equal(len(lines), 1)
    assert lines[0].startswith("ccvm-scratch-run: "), lines[0]
    for word in words:
        assert word in lines[0], f"{word!r} is not in {lines[0]!r}"


def alive(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def holders(prefix):
    """Processes that have a file open whose name starts so."""
    found = []
    for link in pathlib.Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.readlink(link).startswith(str(prefix)):
                found.append(str(link))
    return found


@contextlib.contextmanager
def mounted(target, *args):
    """Mounts on a directory that is made for it; a file system that the kernel lacks is a skip."""
    target.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        raise Skip("mounts want root")
    result = subprocess.run(["mount", *args, str(target)], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise Skip(f"cannot mount: {result.stderr.splitlines()[0]}")
    try:
        yield target
    finally:
        subprocess.run(["umount", "-l", str(target)], check=True)


@contextlib.contextmanager
def loop_device(file):
    result = subprocess.run(["losetup", "-f", "--show", str(file)], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise Skip(f"no loop device: {result.stderr.strip()}")
    device = result.stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "-d", device], check=True)


def make_file(path, size):
    with open(path, "wb") as f:
        f.truncate(size)
    return path


def need(program):
    if not shutil.which(program):
        raise Skip(f"no {program}")


# The checks that the project's founding document asks for, under its names.


@case("no key file in the seed directory")
def _(place):
    seed = place.path / "seed"
    seed.mkdir()
    equal(place.run(f"--seed={seed}").returncode, 0)
    equal([p.name for p in seed.iterdir()], ["vm-disk"])


@case("the wrapper writes only the vm-disk marker")
def _(place):
    seed = place.path / "seed"
    seed.mkdir()
    (seed / "other").write_text("untouched")
    equal(place.run(f"--seed={seed}").returncode, 0)
    equal((seed / "vm-disk").read_text(), "1")
    equal((seed / "other").read_text(), "untouched")
    equal(sorted(p.name for p in place.path.rglob("*")), ["log", "other", "scratch", "seed", "vm-disk"])


@case("refuses a tmpfs target")
def _(place):
    with mounted(place.path / "ram", "-t", "tmpfs", "tmpfs") as ram:
        result = place.run(f"--scratch-dir={ram}")
        refused(result, 1, str(ram), "in RAM (tmpfs)", "--scratch-dir=", "CCVM_SCRATCH_ALLOW_TMPFS=1")
        equal(list(ram.iterdir()), [])
    equal(place.facts("pid"), [])


@case("CCVM_SCRATCH_ALLOW_TMPFS=1")
def _(place):
    with mounted(place.path / "ram", "-t", "tmpfs", "tmpfs") as ram:
        for value in ("", "0", "yes", "true", "11"):
            equal(place.run(f"--scratch-dir={ram}", CCVM_SCRATCH_ALLOW_TMPFS=value).returncode, 1)
        result = place.run(f"--scratch-dir={ram}", CCVM_SCRATCH_ALLOW_TMPFS="1")
        equal((result.returncode, result.stderr), (0, ""))


@case("image sparse (apparent size N GiB, allocated ≪ 1 MiB at start)")
def _(place):
    for n in (1, 20, 1024):
        place.log.unlink(missing_ok=True)
        equal(place.run(size=str(n)).returncode, 0)
        _, _, size, allocated, _, _ = place.image()
        equal(size, n * GIB)
        assert allocated <= 64 * 1024, allocated


@case("size 0 attaches nothing and leaves the argv untouched")
def _(place):
    vmm = (FAKE_VMM, "-machine", "q35", "-append", "a  b", "", "--vm-disk-size=9", "new\tline")
    result = place.run("--marker=append", "--lock-memory", size="0", vmm=vmm)
    equal((result.returncode, result.stdout, result.stderr), (0, "", ""))
    equal(place.facts("arg"), list(vmm))
    equal([f for f in place.facts("fd") if int(f.split()[0]) > 2], [])
    equal(place.left(), [])
    before = subprocess.run(["sh", "-c", "ulimit -c"], capture_output=True, text=True, check=True).stdout
    after = place.run(size="0", vmm=("sh", "-c", "ulimit -c")).stdout
    equal(after, before)


# The image.


@case("of the default directory only what is missing is made: of the rest mkdir(2) may say anything, as on a server")
def _(place):
    need("strace")
    # .cache and ccvm are made, then nothing any more.
    for when in ("3+", "1+"):
        strace = ["strace", "-qq", "-f", "-o", "/dev/null", "-e", f"inject=mkdir:error=EACCES:when={when}"]
        command = [*strace, WRAPPER, "--vm-disk-size=1", "--", FAKE_VMM]
        result = subprocess.run(command, env=place.environment(), capture_output=True, check=False)
        equal((when, result.returncode, result.stderr), (when, 0, b""))


@case("the image is nameless, 0600, and with the report's socket all that the VMM gets")
def _(place):
    place.log.touch()
    os.umask(0o777)
    try:
        result = place.run()
    finally:
        os.umask(0o022)
    equal((result.returncode, result.stderr), (0, ""))
    number, target, size, _, mode, links = place.image()
    equal((size, mode, links), (GIB, "600", 0))
    assert target.endswith(" (deleted)"), target
    inherited = {int(f.split()[0]): f.split()[1] for f in place.facts("fd") if int(f.split()[0]) > 2}
    equal(len(inherited), 2)
    del inherited[number]
    [(socket, what)] = inherited.items()
    assert what.startswith("socket:"), what
    assert f"fd={number},set=6377" in place.facts("arg"), place.facts("arg")
    assert f"socket,id=ccvm-scratch-report,fd={socket}" in place.facts("arg"), place.facts("arg")
    equal(place.left(), [])


@case("nobody can give the image a name, not even through /proc")
def _(place):
    for extra in ({}, {"LD_PRELOAD": NO_TMPFILE}):
        place.log.unlink(missing_ok=True)
        process = place.start(**extra)
        image = f"/proc/{process.pid}/fd/{place.image()[0]}"
        link = ["ln", "-L", image, str(place.scratch / "name")]
        result = subprocess.run(link, capture_output=True, text=True, check=False)
        equal(result.returncode, 1)
        assert "No such file" in result.stderr, result.stderr
        process.terminate()
        process.wait(10)
        nothing_left(place, process)


@case("without O_TMPFILE the name is gone before the VMM starts")
def _(place):
    result = place.run(LD_PRELOAD=NO_TMPFILE)
    equal((result.returncode, result.stderr), (0, ""))
    _, target, _, _, mode, links = place.image()
    assert "/.ccvm-scratch." in target, target
    equal((mode, links), ("600", 0))
    equal(place.left(), [])


@case("no copy-on-write on btrfs")
def _(place):
    need("mkfs.btrfs")
    file = make_file(place.path / "btrfs", 256 << 20)
    subprocess.run(["mkfs.btrfs", "-q", str(file)], check=True, capture_output=True)
    with mounted(place.path / "mnt", "-o", "loop", str(file)) as mnt:
        image = mnt / "image"
        result = place.run(f"--keep-image={image}", size="64M")
        equal((result.returncode, result.stderr), (0, ""))
        flags = subprocess.run(["lsattr", str(image)], capture_output=True, text=True, check=True).stdout
        assert "C" in flags.split()[0], flags
        place.log.unlink()
        process = place.start(f"--scratch-dir={mnt}", "--vm-disk-size=64M")
        [link] = [link for link in holders(mnt) if link.startswith(f"/proc/{process.pid}/")]
        with open(link, "rb") as nameless:
            assert fcntl.ioctl(nameless, FS_IOC_GETFLAGS, bytes(8))[2] & 0x80, "FS_NOCOW_FL is not set"
        process.terminate()
        process.wait(10)


@case("the default directory is made, 0700, below $XDG_CACHE_HOME or ~/.cache")
def _(place):
    for extra, directory in (({}, ".cache/ccvm"), ({"XDG_CACHE_HOME": str(place.path / "c/d")}, "c/d/ccvm")):
        env = place.environment(**extra)
        equal(subprocess.run([WRAPPER, "--vm-disk-size=1", FAKE_VMM], env=env, check=False).returncode, 0)
        equal((place.path / directory).stat().st_mode & 0o7777, 0o700)
        equal(list((place.path / directory).iterdir()), [])


@case("a directory that was asked for is not made")
def _(place):
    missing = place.path / "missing"
    refused(place.run(f"--scratch-dir={missing}"), 1, str(missing), "--scratch-dir=DIR")
    assert not missing.exists()


@case("--keep-image keeps a named image, and takes only its own kind again")
def _(place):
    image = place.path / "kept"
    equal(place.run(f"--keep-image={image}").returncode, 0)
    equal((image.stat().st_size, image.stat().st_mode & 0o7777), (GIB, 0o600))
    equal(place.run(f"--keep-image={image}").returncode, 0)
    refused(place.run(f"--keep-image={image}", size="2"), 1, str(image), "exists", "--keep-image")
    precious = place.path / "precious"
    precious.write_text("precious")
    refused(place.run(f"--keep-image={precious}"), 1, str(precious), "exists")
    equal(precious.read_text(), "precious")
    link = place.path / "link"
    link.symlink_to(image)
    refused(place.run(f"--keep-image={link}"), 1, str(link))


@case("too little free space is refused, less than the size is a warning")
def _(place):
    for free, size, status, words in ((32, "64M", 1, "at least 64 MiB"), (128, "1G", 0, "guest gets I/O errors")):
        with mounted(place.path / "ram", "-t", "tmpfs", "-o", f"size={free}m", "tmpfs") as ram:
            result = place.run(f"--scratch-dir={ram}", size=size, CCVM_SCRATCH_ALLOW_TMPFS="1")
            equal(result.returncode, status)
            equal(len(result.stderr.splitlines()), 1)
            assert words in result.stderr, result.stderr


@case("a size that the file system does not take is refused")
def _(place):
    need("mkfs.ext4")
    file = make_file(place.path / "ext4", 256 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-b", "1024", str(file)], check=True)
    with mounted(place.path / "mnt", "-o", "loop", str(file)) as mnt:
        result = place.run(f"--scratch-dir={mnt}", size="8000000T")
        equal(result.returncode, 1)
        assert "does not take an image" in result.stderr.splitlines()[-1], result.stderr
        equal([p.name for p in mnt.iterdir()], ["lost+found"])


# RAM in disguise, the real thing.


def refused_as_ram(place, directory, *words):
    refused(place.run(f"--scratch-dir={directory}", size="64M"), 1, str(directory), "in RAM", *words)


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


@case("refuses an overlay whose upper is on a tmpfs, takes one whose upper is on the disk")
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
                    # Where mount(8) uses mount(2), the table has its escapes, too: a block on it is asked then.
                    refused_as_ram(place, ovl, "overlay")
                    allowed = place.run(f"--scratch-dir={ovl}", size="64M", CCVM_SCRATCH_ALLOW_TMPFS="1")
                    equal((allowed.returncode, allowed.stderr), (0, ""))
                else:
                    result = place.run(f"--scratch-dir={ovl}", size="64M")
                    equal(result.returncode, 0)


@case("refuses a file system on a loop device over a file on a tmpfs, also when the file is deleted")
def _(place):
    need("mkfs.ext4")
    with mounted(place.path / "ram", "-t", "tmpfs", "tmpfs") as ram:
        file = make_file(ram / "image file", 128 << 20)
        subprocess.run(["mkfs.ext4", "-q", str(file)], check=True)
        with loop_device(file) as loop, mounted(place.path / "mnt", loop) as mnt:
            refused_as_ram(place, mnt, "(loop", "over tmpfs")
            file.unlink()
            refused_as_ram(place, mnt, "(loop", "over tmpfs")


@case("takes a file system on a loop device over a file on the disk")
def _(place):
    need("mkfs.ext4")
    file = make_file(place.path / "file", 256 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(file)], check=True)
    with loop_device(file) as loop, mounted(place.path / "mnt", loop) as mnt:
        result = place.run(f"--scratch-dir={mnt}", size="64M")
        equal((result.returncode, result.stderr), (0, ""))


@case("refuses btrfs on a loop device over a file on a tmpfs")
def _(place):
    need("mkfs.btrfs")
    with mounted(place.path / "ram", "-t", "tmpfs", "tmpfs") as ram:
        file = make_file(ram / "image", 256 << 20)
        subprocess.run(["mkfs.btrfs", "-q", str(file)], check=True, capture_output=True)
        with loop_device(file) as loop, mounted(place.path / "mnt", loop) as mnt:
            refused_as_ram(place, mnt, "btrfs on loop", "over tmpfs")


@case("refuses an overlay over a loop device over a file on a tmpfs, bound elsewhere, by a symbolic link")
def _(place):
    need("mkfs.ext4")
    lower = place.path / "lower"
    lower.mkdir()
    with mounted(place.path / "ram", "-t", "tmpfs", "tmpfs") as ram:
        file = make_file(ram / "image", 128 << 20)
        subprocess.run(["mkfs.ext4", "-q", str(file)], check=True)
        with loop_device(file) as loop, mounted(place.path / "mnt", loop) as mnt:
            for name in ("upper", "work"):
                (mnt / name).mkdir()
            options = f"lowerdir={lower},upperdir={mnt}/upper,workdir={mnt}/work"
            with (
                mounted(place.path / "ovl", "-t", "overlay", "-o", options, "overlay") as ovl,
                mounted(place.path / "bound", "--bind", str(ovl)) as bound,
            ):
                link = place.path / "link"
                link.symlink_to(bound)
                refused_as_ram(place, link, "overlay over loop", "over tmpfs")


@case("an overlay that cannot be followed is asked by a block that is written to it: on a disk taken in silence, in RAM refused")
def _(place):
    # As in a container, whose overlay names directories of the host, or after a pivot_root.
    lower = place.path / "lower"
    lower.mkdir()
    with mounted(place.path / "ram", "-t", "tmpfs", "tmpfs") as ram:
        for base, status in ((place.path, 0), (ram, 1)):
            upper, work = base / "upper", base / "work"
            upper.mkdir()
            work.mkdir()
            options = f"lowerdir={lower},upperdir={upper},workdir={work}"
            with mounted(place.path / "ovl", "-t", "overlay", "-o", options, "overlay") as ovl:
                upper.rename(base / "elsewhere")
                place.log.unlink(missing_ok=True)
                result = place.run(f"--scratch-dir={ovl}", size="64M")
                equal((result.returncode, len(result.stderr.splitlines())), (status, status))
                if status:
                    refused(result, 1, str(ovl), "an overlay that keeps its files in RAM", "CCVM_SCRATCH_ALLOW_TMPFS=1")
                    result = place.run(f"--scratch-dir={ovl}", size="64M", CCVM_SCRATCH_ALLOW_TMPFS="1")
                    equal((result.returncode, result.stderr), (0, ""))
                # What an earlier run has left there is no other file than a new one, and stays as it is.
                kept = f"--keep-image={ovl}/kept"
                equal(place.run(kept, size="64M", CCVM_SCRATCH_ALLOW_TMPFS="1").returncode, 0)
                (ovl / "kept").open("r+b").write(b"kept")
                result = place.run(kept, size="64M")
                equal((result.returncode, len(result.stderr.splitlines())), (status, status))
                equal((ovl / "kept").read_bytes()[:4], b"kept")
                place.log.unlink(missing_ok=True)
                equal(place.run(f"--scratch-dir={ovl}", size="64M").returncode, status)
                if not status:
                    assert place.image()[3] <= 64 * 1024, place.image()


# Start, signals, exit status.


@case("--vm-disk-size takes 20, 20G, 512M, 1T")
def _(place):
    for size, expected in (("20", 20 * GIB), ("20G", 20 * GIB), ("512M", GIB // 2), ("1T", 1024 * GIB)):
        place.log.unlink(missing_ok=True)
        equal(place.run(size=size).returncode, 0)
        equal(place.image()[2], expected)


@case("an option wins over its environment variable, and that over the default")
def _(place):
    other = place.path / "other"
    other.mkdir()
    variables = {"CCVM_VM_DISK_SIZE": "2", "CCVM_SCRATCH_DIR": str(other), "CCVM_MLOCK": "1"}
    options = ["--vm-disk-size=3", f"--scratch-dir={place.scratch}", "--lock-memory=no"]
    for given, env, size, directory, locked in (
        (options, variables, 3, place.scratch, False),
        ([], variables, 2, other, True),
        (options[:1], {}, 3, place.path / ".cache/ccvm", False),
    ):
        place.log.unlink(missing_ok=True)
        subprocess.run([WRAPPER, *given, FAKE_VMM], env=place.environment(**env), check=True)
        assert place.image()[1].startswith(f"{directory}/"), place.image()
        equal((place.image()[2], "mem-lock=on" in place.facts("arg")), (size * GIB, locked))
    place.log.unlink()
    subprocess.run([WRAPPER, FAKE_VMM], env=place.environment(), check=True)  # no disk is the default
    equal(place.facts("arg"), [FAKE_VMM])


@case("usage errors are one line and status 2")
def _(place):
    for size in ("-1", "0x10", "1.5", "20GB", "99999999T", ""):
        refused(place.run(size=size), 2, "--vm-disk-size", f"'{size}'", "20G", "512M", "1T")
    refused(place.run("--marker=yes"), 2, "--marker", "'yes'", "credential")
    refused(place.run("--marker=append"), 2, "--marker=append", "-kernel", "--marker=credential")
    refused(place.run(CCVM_MLOCK="maybe"), 2, "CCVM_MLOCK", "'maybe'")
    equal(subprocess.run([WRAPPER, "--vm-disk-size=1"], capture_output=True, check=False).returncode, 2)
    # What may drop the arguments, and is no VMM that takes them.
    for vmm in (("sh", "-c", "exec qemu-system-x86_64"), ("./start-vm",)):
        refused(place.run(vmm=vmm), 2, "No word of the command", "--vmm=qemu")
    for vmm in ("cloud-hypervisor", "crosvm", "firecracker", "vmspawn"):
        program = "systemd-vmspawn" if vmm == "vmspawn" else vmm
        refused(place.run(vmm=("taskset", "1", program)), 2, "Only QEMU", "--print-args")
        refused(place.run(f"--vmm={vmm}"), 2, "Only QEMU", "--print-args")
    equal(place.facts("pid"), [])
    equal(place.left(), [])


@case("a VMM that cannot be started is status 1, and leaves nothing")
def _(place):
    for options in (), (f"--status-file={place.path}/status",), ("--require-encrypted",):
        refused(place.run(*options, vmm=("/no/such/qemu-kvm",)), 1, "Cannot run '/no/such/qemu-kvm'")
    equal(place.left(), [])


@case("--help is one screen, --version one line")
def _(place):
    text = subprocess.run([WRAPPER, "--help"], capture_output=True, text=True, check=True).stdout
    assert len(text.splitlines()) <= 24 and max(map(len, text.splitlines())) <= 80, text
    text = subprocess.run([WRAPPER, "--version"], capture_output=True, text=True, check=True).stdout
    equal(len(text.splitlines()), 1)


@case("--dry-run prints the arguments, one a line, and creates nothing")
def _(place):
    seed = place.path / "seed"
    seed.mkdir()
    result = place.run("--dry-run", f"--seed={seed}", vmm=("qemu-system-x86_64", "-append", "quiet"))
    equal((result.returncode, result.stderr), (0, ""))
    lines = result.stdout.splitlines()
    equal(lines[:3], ["qemu-system-x86_64", "-append", "quiet"])
    equal(lines[lines.index("-append", 3) + 1], "quiet ccvm.vm_disk=1")
    equal([list(seed.iterdir()), place.left()], [[], []])
    env = place.environment()
    result = subprocess.run([WRAPPER, "--vm-disk-size=1", "--dry-run", "qemu-kvm"], env=env, check=False, capture_output=True)
    equal(result.returncode, 0)
    assert not (place.path / ".cache").exists()


@case("--dry-run prints what is then run")
def _(place):
    vmm = (FAKE_VMM, "-append", "quiet", "-M", "q35")
    for options in ((), ("--lock-memory", "--marker=credential"), (f"--status-file={place.path}/s",)):
        place.log.unlink(missing_ok=True)
        dry = place.run("--dry-run", *options, vmm=vmm)
        equal(place.facts("pid"), [])
        equal(place.run(*options, vmm=vmm).returncode, 0)
        equal(place.facts("arg"), dry.stdout.splitlines())


@case("the VMM's exit status comes back")
def _(place):
    for status in (0, 1, 2, 42, 255):
        equal(place.run(todo=f"exit {status}").returncode, status)


def shell_status(place, todo, *options):
    """$? as a shell has it after the wrapper."""
    command = '"$@"; echo "$?"'
    result = subprocess.run(
        ["sh", "-c", command, "sh", *place.command(*options)],
        env=place.environment(todo),
        capture_output=True,
        text=True,
        check=True,
    )
    return int(result.stdout)


@case("a VMM that dies of a signal is status 128+n")
def _(place):
    for n in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT):
        equal(shell_status(place, f"kill {int(n)}"), 128 + n)
    equal(place.left(), [])


def nothing_left(place, process):
    """The VMM has ended; the watcher has, too, when the pipe that is its stderr ends."""
    equal(process.communicate(timeout=60)[1], "")
    assert not alive(int(place.facts("pid")[0]))
    equal(place.left(), [])
    equal(holders(place.scratch), [])


def add_signal_case(n):
    @case(f"{n.name}: it reaches the VMM, whose status comes back; no file, process or descriptor left")
    def _(place):
        process = place.start()
        process.send_signal(n)
        equal(process.wait(10), 40 + n)
        equal(place.facts("signal"), [str(int(n))])
        nothing_left(place, process)


for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    add_signal_case(number)


@case("Ctrl-C in a terminal reaches the VMM once; no file, process or descriptor left")
def _(place):
    read_end, write_end = os.pipe()
    pid, terminal = pty.fork()
    if pid == 0:
        os.dup2(write_end, 2)
        os.execve(WRAPPER, place.command(), place.environment("wait"))
    os.close(write_end)
    wait_until(lambda: "ready\n" in (place.log.read_text() if place.log.exists() else ""), "the VMM")
    os.write(terminal, b"\x03")
    equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 40 + signal.SIGINT)
    equal(place.facts("signal"), [str(int(signal.SIGINT))])
    equal(os.read(read_end, 1000), b"")  # the watcher, which is in no terminal, has ended as well
    equal((place.left(), holders(place.scratch)), ([], []))
    os.close(read_end)
    os.close(terminal)


@case("SIGKILL of the wrapper: no file, no process, no descriptor left")
def _(place):
    process = place.start()
    process.kill()
    equal(process.wait(10), -signal.SIGKILL)
    nothing_left(place, process)


@case("SIGKILL of the VMM: no file, no process, no descriptor left")
def _(place):
    process = place.start()
    equal(int(place.facts("pid")[0]), process.pid)  # it is in the wrapper's place
    os.kill(process.pid, signal.SIGKILL)
    equal(process.wait(10), -signal.SIGKILL)
    nothing_left(place, process)


@case("SIGKILL of the wrapper at any step before the VMM: no file, no process, no descriptor left")
def _(place):
    need("strace")
    for step in ("socketpair", "wait4", "ftruncate", "fchmod", "setrlimit,prlimit64:when=3", "execve"):
        calls, _, when = step.partition(":")
        inject = f"inject={calls}:signal=KILL" + (f":{when}" if when else "")
        command = ["strace", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", inject, *place.command()]
        result = subprocess.run(command, env=place.environment(), capture_output=True, text=True, check=False, timeout=20)
        equal((step, result.returncode, result.stderr), (step, -signal.SIGKILL, ""))
        equal((place.facts("pid"), place.left(), holders(place.scratch)), ([], [], []))


@case("the VMM gets the caller's signal mask and no core dumps")
def _(place):
    equal(place.run().returncode, 0)
    equal(place.facts("blocked"), [])
    equal(place.facts("core"), ["0 0"])
    equal(place.facts("filter"), ["00000000"])


@case("a crash of the VMM leaves no core dump, whatever the caller's limit")
def _(place):
    limit = ["prlimit", "--core=unlimited:unlimited"]
    process = subprocess.Popen([*limit, *place.command()], env=place.environment("kill 11"), cwd=place.path)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -signal.SIGSEGV
    equal((os.WTERMSIG(status), os.WCOREDUMP(status)), (signal.SIGSEGV, False))
    equal(sorted(p.name for p in place.path.iterdir()), ["log", "scratch"])


@contextlib.contextmanager
def small_disk(place):
    """The mount point of a disk that a VM can fill; afterwards nothing of it is left, and the space is free again."""
    need("mkfs.ext4")
    file = make_file(place.path / "file", 128 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(file)], check=True)
    with loop_device(file) as loop, mounted(place.path / "mnt", loop) as mnt:
        free = os.statvfs(mnt).f_bfree
        yield mnt
        equal([p.name for p in mnt.iterdir()], ["lost+found"])
        wait_until(lambda: os.statvfs(mnt).f_bfree >= free - 16, "the space to come back")


@case("a disk that fills up: the VMM goes on, and its space comes back")
def _(place):
    with small_disk(place) as mnt:
        result = place.run(f"--scratch-dir={mnt}", todo="fill")
        equal(result.returncode, 28)  # ENOSPC, as the VMM saw it


@case("50 wrappers at once in one directory do not disturb each other")
def _(place):
    logs = [place.path / f"log.{i}" for i in range(50)]
    processes = []
    for log in logs:
        env = place.environment("wait", FAKE_VMM_LOG=str(log))
        processes.append(subprocess.Popen(place.command(), env=env))
    for log in logs:
        wait_until(lambda log=log: log.exists() and "ready\n" in log.read_text(), "all to start", 30)
    inodes = {os.stat(link).st_ino for link in holders(place.scratch)}
    equal(len(inodes), 50)
    for process in processes[::2]:
        process.kill()
    for process in processes[1::2]:
        process.terminate()
    for i, process in enumerate(processes):
        equal(process.wait(10), 40 + signal.SIGTERM if i % 2 else -signal.SIGKILL)
    equal(place.left(), [])
    equal(holders(place.scratch), [])


@case("help, manual and completions know the same options")
def _(place):
    source = pathlib.Path(__file__).resolve().parent.parent.parent
    text = subprocess.run([WRAPPER, "--help"], capture_output=True, text=True, check=True).stdout
    options = sorted(set(re.findall(r"(?<![$\w])--[a-z][a-z-]+", text)))
    assert len(options) >= 15, options
    for name in (
        "man/ccvm-scratch-run.1.scd",
        "host-wrapper/completion/ccvm-scratch-run.bash",
        "host-wrapper/completion/_ccvm-scratch-run",
    ):
        text = (source / name).read_text()
        equal((name, [option for option in options if option not in text]), (name, []))


@case("the manual names every environment variable, and what wins")
def _(place):
    source = pathlib.Path(__file__).resolve().parent.parent.parent
    variables = set()
    for file in (source / "host-wrapper").glob("*.c"):
        variables |= set(re.findall(r'getenv\("(\w+)"\)|"(CCVM_\w+)"', file.read_text()))
    variables = {name for names in variables for name in names if name}
    assert len(variables) >= 6, variables
    text = (source / "man/ccvm-scratch-run.1.scd").read_text()
    equal([name for name in variables if f"*{name}*" not in text and f"${name}" not in text], [])
    assert "An option wins over its environment variable, and that over the\ndefault." in text


@case("bash completes options, their values, and then leaves the line to the VMM")
def _(place):
    need("bash")
    source = pathlib.Path(__file__).resolve().parent.parent.parent
    script = """
        . "$1"; compopt() { :; }; shift
        COMP_WORDS=(ccvm-scratch-run "$@"); COMP_CWORD=$#
        _ccvm_scratch_run; printf '%s\\n' "${COMPREPLY[@]}"
    """
    (place.path / "file").touch()
    for words, expected in (
        (("--vm-d",), ["--vm-disk-size="]),
        (("--marker", "=", "c"), ["credential"]),
        (("--marker", "="), ["append", "auto", "credential", "none"]),
        (("--vmm", "q"), ["qemu"]),
        (("--vm-disk-size", "=", "20", "--dry"), ["--dry-run"]),
        (("--vm-disk-size", "20", "--dry"), ["--dry-run"]),
        (("--scratch-dir", "="), ["scratch"]),
        (("qemu", "--dry"), [""]),
        (("--", "qemu", "fi"), ["file"]),
    ):
        completion = source / "host-wrapper/completion/ccvm-scratch-run.bash"
        command = ["bash", "--norc", "-c", script, "bash", str(completion), *words]
        result = subprocess.run(command, cwd=place.path, capture_output=True, text=True, check=True)
        equal((words, sorted(result.stdout.splitlines())), (words, expected))


ZSH_SETUP = r"""
fpath=({completion} $fpath); autoload -Uz compinit; compinit -D -u
dump() {{ print -r -- "$BUFFER" >{out} }}; zle -N dump; bindkey '^X' dump; bindkey '^I' complete-word
PS1= RPS1=; unsetopt beep; print ready >{out}
"""


class Zsh:
    """An interactive zsh that has our completion."""

    def __init__(self, place):
        source = pathlib.Path(__file__).resolve().parent.parent.parent
        self.out = place.path / "out"
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(place.path)
            os.execvpe("zsh", ["zsh", "-f", "-i"], place.environment(TERM="dumb"))
        setup = ZSH_SETUP.format(completion=source / "host-wrapper/completion", out=self.out)
        os.write(self.terminal, setup.encode())
        self.read()

    def read(self):
        wait_until(lambda: self.out.exists() and self.out.read_text().endswith("\n"), "zsh")
        text = self.out.read_text().strip()
        self.out.unlink()
        return text

    def complete(self, line):
        """What the editor makes of the line when Tab is pressed at its end."""
        os.write(self.terminal, f"\x15{line}\t\x18".encode())
        return self.read()

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


@case("zsh completes options, their values, and then leaves the line to the VMM")
def _(place):
    need("zsh")
    (place.path / "some-file").touch()
    zsh = Zsh(place)
    for words, expected in (
        ("--vm-d", "--vm-disk-size="),
        ("--marker=c", "--marker=credential"),
        ("--marker=au", "--marker=auto"),
        ("--vmm=q", "--vmm=qemu"),
        ("--lock-memory=y", "--lock-memory=yes"),
        ("--vm-disk-size=20 --dry", "--vm-disk-size=20 --dry-run"),
        ("--vm-disk-size 20 --dry", "--vm-disk-size 20 --dry-run"),
        ("--scratch-dir=scr", "--scratch-dir=scratch/"),
        ("--keep-image=some", "--keep-image=some-file"),
        ("unsh", "unshare"),
        ("--vm-disk-size=20 unshare --dry", "unshare --dry"),  # no longer ours
        ("-- cat some", "cat some-file"),
    ):
        result = zsh.complete(f"ccvm-scratch-run {words}")
        assert result.endswith(f" {expected}"), (words, result)
    zsh.end()


# The guest's report.

ENCRYPTED = b"encrypted\n"
FALLBACK = b"tmpfs device-timeout\n"
TERMINATED = 40 + signal.SIGTERM
SAID = "ccvm-scratch-run: guest fell back to RAM: device-timeout"
ENDING = "; ending the VM (--require-encrypted)"


def read_status(file):
    """The status file without its time, which has to be one."""
    status = json.loads(file.read_text())
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", status.pop("time")), status
    return status


@case("the guest's report: silence when all is well, one line when not, at each boot")
def _(place):
    equal(place.hear(ENCRYPTED), (TERMINATED, ""))
    equal(place.hear(b""), (TERMINATED, ""))
    equal(place.hear(FALLBACK), (TERMINATED, SAID + "\n"))
    equal(place.hear(ENCRYPTED + FALLBACK + b"none wiped\n" + ENCRYPTED), (TERMINATED, f"{SAID}\n{SAID_WIPED}\n"))


SAID_WIPED = "ccvm-scratch-run: guest has no scratch space: wiped"


@case("the guest's report: none in time is one line, once")
def _(place):
    process = place.start("--report-timeout=1", report=b"")
    equal(process.stderr.readline(), "ccvm-scratch-run: guest has said nothing of its disk\n")
    time.sleep(1.2)
    process.terminate()
    equal(process.communicate(timeout=60)[1], "")


@case("the guest's report: the watcher lives as long as the VMM")
def _(place):
    for report in (ENCRYPTED, b""):
        place.log.unlink(missing_ok=True)
        process = place.start(report=report)
        stderr = os.readlink(f"/proc/self/fd/{process.stderr.fileno()}")
        time.sleep(0.1)
        equal(len(holders(stderr)), 3)  # this test, the VMM, the watcher
        process.kill()
        equal(process.communicate(timeout=60)[1], "")
        equal(holders(stderr), [])


@case("the guest's report: who waits for all children waits for no watcher")
def _(place):
    need("strace")
    waiting = ("python3", "-c", "import os\ntry: os.wait()\nexcept ChildProcessError: print('none')")
    equal(place.run("--vmm=qemu", vmm=waiting).stdout, "none\n")
    # For any kind of child, and it has all that the VMM has.
    equal(place.run(vmm=("strace", "-qq", "-o", "/dev/null", FAKE_VMM)).returncode, 0)


@case("the guest's report is untrusted: bounded, validated, never echoed")
def _(place):
    noise = "ccvm-scratch-run: guest sent something that is no report; ignoring it\n"
    hostile = b'\x1b]0;owned\x07\nencrypted \x1b[2J\n' + b"{" * 5000 + b"\n\n\0\n"
    equal(place.hear(hostile), (TERMINATED, noise))
    equal(place.hear(hostile + FALLBACK), (TERMINATED, noise + SAID + "\n"))
    equal(place.hear(b"x" * 10_000_000), (TERMINATED, ""))
    equal(place.hear(FALLBACK[:-1]), (TERMINATED, ""))  # a line that does not end is none
    without_end = "ccvm-scratch-run: guest sends reports without end; not listening any more\n"
    equal(place.hear(ENCRYPTED * 20_000), (TERMINATED, without_end))


@case("--status-file: the last report, whole, in words of our own, and never an old one")
def _(place):
    status = place.path / "status.json"
    option = f"--status-file={status}"
    status.write_text("old")
    equal(place.hear(ENCRYPTED, option), (TERMINATED, ""))
    equal(read_status(status), {"state": "encrypted", "reason": None, "boots": 1})
    equal(status.stat().st_mode & 0o7777, 0o644)
    equal(place.hear(ENCRYPTED + b"none wiped\n" + ENCRYPTED, option), (TERMINATED, SAID_WIPED + "\n"))
    equal(read_status(status), {"state": "encrypted", "reason": None, "boots": 2})
    equal(place.hear(b"", option), (TERMINATED, ""))
    assert not status.exists()
    place.hear(b"bogus\n", option)
    assert not status.exists()
    equal([p.name for p in place.path.iterdir() if p.name.startswith(".")], [])
    refused(place.run(f"--status-file={place.path}/missing/status"), 1, "missing/status", "--status-file")
    refused(place.run(f"--status-file={place.scratch}"), 1, str(place.scratch), "--status-file")


@case("--status-file is complete when the VMM has ended, however soon that is")
def _(place):
    status = place.path / "status.json"
    for _ in range(20):
        for todo, code in (("exit 7", 7), ("kill 9", 137)):
            result = place.run(f"--status-file={status}", todo=todo, report=FALLBACK)
            equal((result.returncode, result.stderr), (code, SAID + "\n"))
            equal(read_status(status), {"state": "tmpfs", "reason": "device-timeout", "boots": 1})


@case("with a parent the VMM gets the same: signals once, its own mask, and its exit status comes back")
def _(place):
    option = f"--status-file={place.path}/status"
    for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        place.log.unlink(missing_ok=True)
        process = place.start(option)
        process.send_signal(n)
        equal(process.communicate(timeout=60)[1], "")
        equal((process.returncode, place.facts("signal"), place.facts("blocked")), (40 + n, [str(int(n))], []))
    for code in (0, 1, 42, 255):
        equal(place.run(option, todo=f"exit {code}").returncode, code)
    equal(shell_status(place, "kill 11", option), 139)
    process = place.start(option)
    process.kill()
    nothing_left(place, process)


@case("with a parent Ctrl-C reaches the VMM once, and what stops the VMM stops the parent")
def _(place):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(WRAPPER, place.command(f"--status-file={place.path}/status"), place.environment("wait"))
    wait_until(lambda: "ready\n" in (place.log.read_text() if place.log.exists() else ""), "the VMM")
    os.kill(int(place.facts("pid")[0]), signal.SIGSTOP)  # as Ctrl-Z does where there is a shell
    equal(os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1]), True)
    os.kill(pid, signal.SIGCONT)
    os.write(terminal, b"\x03")
    equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 40 + signal.SIGINT)
    equal(place.facts("signal"), [str(int(signal.SIGINT))])
    os.close(terminal)


@case("--require-encrypted ends the VM when the guest says otherwise, or nothing in time, at any boot")
def _(place):
    again = place.path / "again"
    for options, report, second, words in (
        ((), FALLBACK, None, "guest fell back to RAM: device-timeout"),
        ((), b"off\n", None, "guest does not use the disk"),
        ((), ENCRYPTED + FALLBACK, None, "guest fell back to RAM: device-timeout"),
        ((), ENCRYPTED + b"none wiped\n", None, "guest has no scratch space: wiped"),
        ((), ENCRYPTED * 20_000, None, "guest sends reports without end; not listening any more"),
        (("--report-timeout=1",), b"", None, "guest has said nothing of its disk"),
        (("--report-timeout=1",), b"x" * 100_000, None, "guest has said nothing of its disk"),
        (("--report-timeout=1",), ENCRYPTED, b"", "guest has said nothing of its disk"),
        (("--report-timeout=9",), ENCRYPTED, FALLBACK, "guest fell back to RAM: device-timeout"),
    ):
        place.log.unlink(missing_ok=True)
        extra = {}
        if second is not None:
            again.write_bytes(second)
            extra["FAKE_VMM_REPORT_AGAIN"] = str(again)
        result = place.run("--require-encrypted", *options, todo="wait", report=report, **extra)
        equal((result.returncode, result.stderr), (3, f"ccvm-scratch-run: {words}{ENDING}\n"))
        equal((place.facts("quit"), place.facts("signal")), (["1"], []))
        assert not alive(int(place.facts("pid")[0]))
        equal((place.left(), holders(place.scratch)), ([], []))


@case("--require-encrypted leaves an encrypted guest alone")
def _(place):
    equal(place.hear(ENCRYPTED, "--require-encrypted", "--report-timeout=10"), (TERMINATED, ""))
    again = place.path / "again"
    again.write_bytes(ENCRYPTED)
    process = place.start("--require-encrypted", "--report-timeout=5", report=ENCRYPTED, FAKE_VMM_REPORT_AGAIN=str(again))
    time.sleep(5.5)
    process.terminate()
    equal((process.communicate(timeout=60)[1], process.returncode), ("", TERMINATED))
    place.log.unlink()
    process = place.start("--require-encrypted", "--report-timeout=10", report=ENCRYPTED)
    vmm = int(place.facts("pid")[-1])
    for n in (signal.SIGSTOP, signal.SIGCONT):  # by somebody else: the wrapper stays awake
        os.kill(vmm, n)
        time.sleep(0.1)
        assert " T " not in pathlib.Path(f"/proc/{process.pid}/stat").read_text(), n
    process.terminate()
    equal(process.wait(10), TERMINATED)
    refused(place.run("--require-encrypted", size="0"), 2, "--require-encrypted", "--vm-disk-size=N")
    refused(place.run("--require-encrypted", vmm=("qemu-kvm", "-daemonize")), 2, "--require-encrypted", "-daemonize")


@case("--require-encrypted: a guest that ends by itself without the disk is status 3, and so is one that was never heard")
def _(place):
    for report, words in ((FALLBACK, "guest fell back to RAM: device-timeout"), (b"", "guest has said nothing of its disk")):
        result = place.run("--require-encrypted", todo="exit 0", report=report)
        equal((result.returncode, result.stderr), (3, f"ccvm-scratch-run: {words}{ENDING}\n"))
    for _ in range(20):  # with its last words and its end at once
        result = place.run("--require-encrypted", todo="exit 0", report=ENCRYPTED)
        equal((result.returncode, result.stderr), (0, ""))
    equal(place.run("--require-encrypted", todo="exit 5", report=b"").returncode, 5)  # it never ran


@case("--require-encrypted tells the guest, too, by the command line or by a credential")
def _(place):
    for vmm, words in (
        ((FAKE_VMM, "-append", "a"), "a ccvm.vm_disk=1 ccvm.fallback=fail"),
        ((FAKE_VMM,), "type=11,value=io.systemd.credential.binary:ccvm.conf=W1NjcmF0Y2hdCkZhbGxiYWNrPWZhaWwK"),
    ):
        place.log.unlink(missing_ok=True)
        place.run("--require-encrypted", vmm=vmm)
        assert words in place.facts("arg"), place.facts("arg")


def launchers(place):
    """What may stand between the wrapper and the VMM."""
    script = place.path / "script"
    script.write_text('#!/bin/sh\n"$@"\necho ended >&2\n')
    script.chmod(0o755)
    return {
        "nothing": (),
        "timeout": ("timeout", "60"),
        "strace": ("strace", "-f", "-o", "/dev/null"),
        "flock": ("flock", str(place.path / "lock")),
        "bwrap": ("bwrap", "--dev-bind", "/", "/"),
        "unshare -pf": ("unshare", "-pf"),
        "unshare -pf --mount-proc": ("unshare", "-pf", "--mount-proc"),
        "setsid -f -w": ("setsid", "-f", "-w"),
        "a script that does not exec": (str(script),),
        "nohup in a subshell": ("sh", "-c", 'nohup "$@" & wait', "sh"),
    }


@case("--require-encrypted ends the VM behind every launcher, by its monitor, and when that is deaf by SIGKILL")
def _(place):
    for name, launcher in launchers(place).items():
        if launcher and not shutil.which(launcher[0]):
            print(f"# no {launcher[0]}")
            continue
        for todo in ("wait", "deaf"):
            place.log.unlink(missing_ok=True)
            result = place.run("--require-encrypted", vmm=(*launcher, FAKE_VMM), todo=todo, report=FALLBACK)
            equal((name, todo, result.returncode), (name, todo, 3))
            assert result.stderr.startswith(SAID + ENDING), result.stderr
            equal((name, todo, place.facts("quit")), (name, todo, ["1"] if todo == "wait" else []))
            wait_until(lambda: not holders(place.scratch), f"{name}, {todo}: the VM to end", 5)


@case("--require-encrypted as PID 1 of a container")
def _(place):
    if os.geteuid() != 0:
        raise Skip("namespaces want root")
    for todo in ("wait", "deaf"):
        for launcher in ((), ("timeout", "60")):
            place.log.unlink(missing_ok=True)
            command = place.command("--require-encrypted", vmm=(*launcher, FAKE_VMM))
            result = subprocess.run(
                ["unshare", "-pf", "--mount-proc", *command],
                env=place.environment(todo, FALLBACK),
                capture_output=True,
                text=True,
                check=False,
                timeout=20,
            )
            equal((todo, launcher, result.returncode, result.stderr), (todo, launcher, 3, f"{SAID}{ENDING}\n"))
            wait_until(lambda: not holders(place.scratch), "the VM to end", 5)


@case("--require-encrypted ends the VM in a scope of systemd-run")
def _(place):
    container = pathlib.Path(__file__).resolve().parent.parent / "tools/container"
    if not pathlib.Path("/etc/ccvm-tools").exists():
        raise Skip("a service manager to play with is in the tool tree")
    # The container has a /tmp of its own, and there the stand-in has its name.
    vmm = place.path / "qemu-system-x86_64"
    vmm.symlink_to(os.path.realpath(FAKE_VMM))
    for todo in ("wait", "deaf"):
        place.log.unlink(missing_ok=True)
        env = [f"{k}={v}" for k, v in place.environment(todo, FALLBACK).items() if k.startswith("FAKE_")]
        command = place.command("--require-encrypted", vmm=("systemd-run", "--scope", "--quiet", str(vmm)))
        result = subprocess.run([container, "env", *env, *command], text=True, check=False, capture_output=True, timeout=60)
        equal((todo, result.returncode, result.stdout, result.stderr), (todo, 3, f"{SAID}{ENDING}\n", ""))
        equal((todo, place.facts("quit")), (todo, ["1"] if todo == "wait" else []))


@case("--require-encrypted is refused where a launcher's VM could not be ended: with the /proc of another PID namespace")
def _(place):
    if os.geteuid() != 0:
        raise Skip("namespaces want root")
    below = ["unshare", "-pf", "sh", "-c", '"$@"; exit $?', "sh"]  # which is PID 1 there, and has the /proc of before
    for launcher, status in ((("timeout", "60"), 1), ((), 3)):
        place.log.unlink(missing_ok=True)
        command = [*below, *place.command("--require-encrypted", vmm=(*launcher, FAKE_VMM))]
        env = place.environment("deaf", FALLBACK)
        result = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=20)
        equal((launcher, result.returncode), (launcher, status))
        assert ("'timeout'" if launcher else SAID) in result.stderr, result.stderr
        equal(len(place.facts("pid")), 0 if launcher else 1)
        wait_until(lambda: not holders(place.scratch), "nobody to have the image", 5)


def helpers(process):
    """The guard of a supervised VMM, once it is there."""
    wait_until(lambda: find_helpers(process), "the guard to be there")
    return find_helpers(process)


def find_helpers(process):
    found = []
    for comm in pathlib.Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if comm.read_text() == "ccvm-guard\n" and f"PPid:\t{process.pid}\n" in (comm.parent / "status").read_text():
                found.append(int(comm.parent.name))
    return found


@case("--require-encrypted does not fail open when one of its processes is killed")
def _(place):
    for launcher in ((), ("timeout", "60")):
        for n in (signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1, signal.SIGKILL):
            place.log.unlink(missing_ok=True)
            process = subprocess.Popen(
                place.command("--require-encrypted", vmm=(*launcher, FAKE_VMM)),
                env=place.environment("wait", ENCRYPTED),
                stderr=subprocess.PIPE,
                text=True,
            )
            place.processes.append(process)
            wait_until(lambda: place.log.exists() and "ready\n" in place.log.read_text(), "the VMM to start")
            [guard] = helpers(process)
            os.kill(guard, n)
            if n == signal.SIGKILL:
                words = "ccvm-scratch-run: the process that ends the VM after this one is gone"
                equal((process.communicate(timeout=60)[1], process.returncode), (f"{words}{ENDING}\n", 3))
                equal(place.facts("quit"), ["1"])
            else:
                time.sleep(0.1)
                assert alive(guard) and alive(process.pid)
                process.kill()  # and then the guard ends what stands behind a launcher
                process.communicate(timeout=60)
            wait_until(lambda: not holders(place.scratch) and not alive(guard), "the VM to end", 5)


@case("--require-encrypted: a VMM that closes its sockets is not believed, and a launcher that outlives it is not for ever")
def _(place):
    result = place.run("--require-encrypted", todo="close", report=ENCRYPTED)
    equal(result.returncode, 3)
    equal(result.stderr, f"ccvm-scratch-run: the command goes on, and nothing is heard of its VM any more{ENDING}\n")
    equal(place.facts("quit"), [])


# The caller's descriptors and limits.


@case("standard descriptors closed, in all eight ways: the VMM starts, and its image is none of them")
def _(place):
    for closed in range(8):
        for option in ((), (f"--status-file={place.path}/status",), ("--require-encrypted",)):
            place.log.unlink(missing_ok=True)
            close = " ".join(f"{fd}>&-" for fd in range(3) if closed & 1 << fd)
            command = ["sh", "-c", f'exec "$@" {close}', "sh", *place.command(*option)]
            result = subprocess.run(
                command, env=place.environment("exit 6", ENCRYPTED), stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=20
            )
            equal((closed, option, result.returncode, result.stdout, result.stderr), (closed, option, 6, b"", b""))
            assert place.image()[0] > 2, place.image()
            wait_until(lambda: not holders(place.scratch), "nobody to have the image", 5)


@case("without close_range(2), and where it is refused, nothing is left either")
def _(place):
    need("strace")
    for error in ("ENOSYS", "EPERM"):
        inject = ["strace", "-qq", "-f", "-o", "/dev/null", "-e", f"inject=close_range:error={error}"]
        result = subprocess.run([*inject, *place.command()], env=place.environment(), capture_output=True, check=False, timeout=20)
        equal((result.returncode, result.stderr), (0, b""))
        wait_until(lambda: not holders(place.scratch), "nobody to have the image", 5)


def nameless(place):
    """How often a nameless image of the size that this test asks for is open on the disk."""
    device, count = place.scratch.stat().st_dev, 0
    for link in pathlib.Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            found = link.stat()
            count += [found.st_dev, found.st_nlink, found.st_size] == [device, 0, 77 << 20]
    return count


@case("without /proc, as in some sandboxes, the watcher lets go of the image, too")
def _(place):
    if os.geteuid() != 0:
        raise Skip("mounts want root")
    hide = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=1m,mode=755 none /proc; exec "$@"', "sh"]
    env = place.environment("wait", ENCRYPTED)
    process = subprocess.Popen([*hide, *place.command(size="77M")], env=env, stderr=subprocess.PIPE, text=True)
    place.processes.append(process)
    wait_until(lambda: place.log.exists() and "ready\n" in place.log.read_text(), "the VMM to start")
    # By what it is: its path is that of another mount namespace.
    wait_until(lambda: nameless(place) == 1, "the VMM alone to have the image", 5)
    process.kill()
    process.communicate(timeout=60)
    equal(nameless(place), 0)


@case("limits: on files and descriptors it is one line, and SIGCHLD ignored is none")
def _(place):
    need("prlimit")
    for limit, words in (("--fsize=1048576", ("RLIMIT_FSIZE", "1 MiB", "1024 MiB")), ("--nofile=4", ()), ("--nofile=5", ())):
        command = ["prlimit", limit, *place.command()]
        result = subprocess.run(command, env=place.environment(), capture_output=True, text=True, check=False)
        refused(result, 1, *words)
        equal(place.left(), [])
    for option in ((), (f"--status-file={place.path}/status",)):
        command = [sys.executable, "-c", "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"]
        result = subprocess.run([*command, *place.command(*option)], env=place.environment("exit 6"), capture_output=True, check=False, timeout=20)
        equal((result.returncode, result.stderr), (6, b""))


@case("a JOURNAL_STREAM that is somebody else's changes nothing")
def _(place):
    result = place.run("--scratch-dir=/missing", JOURNAL_STREAM="9:1")
    refused(result, 1, "'/missing'")


@case("-daemonize: the caller's pipes end with the start, whatever the guest does")
def _(place):
    need("qemu-system-x86_64")
    pidfile = place.path / "pid"
    vmm = ("qemu-system-x86_64", "-M", "q35,accel=tcg", "-m", "64", "-S", "-nodefaults", "-display", "none")
    for option in ((), (f"--status-file={place.path}/status",)):
        result = subprocess.run(
            place.command(*option, vmm=(*vmm, "-daemonize", "-pidfile", str(pidfile))),
            env=place.environment(),
            capture_output=True,
            check=False,
            timeout=20,
        )
        equal((result.returncode, result.stdout, result.stderr), (0, b"", b""))
        os.kill(int(pidfile.read_text()), signal.SIGTERM)
        wait_until(lambda: not holders(place.scratch), "the VM to end")


@case("--keep-image: a second VM on it is refused, and what an earlier one has left gets its mode back")
def _(place):
    image = place.path / "kept"
    for option in ((), (f"--status-file={place.path}/status",)):
        place.log.unlink(missing_ok=True)
        process = place.start(f"--keep-image={image}", *option)
        refused(place.run(f"--keep-image={image}"), 1, str(image), "Another VM")
        process.terminate()
        process.wait(10)
        wait_until(lambda: not holders(image), "the image to be free", 2)
        image.chmod(0o666)
        equal(place.run(f"--keep-image={image}").returncode, 0)
        equal(image.stat().st_mode & 0o7777, 0o600)


@case("--image-fd takes nothing that has content, whatever its size")
def _(place):
    precious = make_file(place.path / "precious", GIB)
    with open(precious, "r+b") as f:
        f.write(b"precious")
        f.flush()
        command = [WRAPPER, "--vm-disk-size=1", "--print-args", f"--image-fd={f.fileno()}"]
        run = {"env": place.environment(), "text": True, "check": False, "capture_output": True, "pass_fds": [f.fileno()]}
        refused(subprocess.run(command, **run), 1, "--image-fd", "empty")
        equal(precious.stat().st_mode & 0o7777, 0o644)
        f.truncate(0)
        for _ in range(2):  # the second time it is as the first has left it
            equal(subprocess.run(command, **run).returncode, 0)


# Guest RAM.


@case("one warning when the host swaps to a device in the clear, none with --lock-memory")
def _(place):
    heading = "Filename\tType\tSize\tUsed\tPriority\n"
    swaps = place.path / "swaps"
    for text, lines in ((heading, 0), (heading + "/swapfile file 1 0 -2\n/dev/nothing partition 1 0 -2\n", 1)):
        swaps.write_text(text)
        if os.geteuid() != 0:
            raise Skip("mounts want root")
        subprocess.run(["mount", "--bind", str(swaps), "/proc/swaps"], check=True)
        try:
            result = place.run()
            locked = place.run("--lock-memory")
        finally:
            subprocess.run(["umount", "/proc/swaps"], check=True)
        equal((result.returncode, len(result.stderr.splitlines())), (0, lines))
        equal((locked.returncode, locked.stderr), (0, ""))
        if lines:
            assert "'/swapfile'" in result.stderr and "--lock-memory" in result.stderr, result.stderr


@case("--lock-memory checks RLIMIT_MEMLOCK first")
def _(place):
    need("prlimit")
    drop = []
    if os.geteuid() == 0:
        need("setpriv")
        drop = ["setpriv", "--bounding-set=-ipc_lock"]
    for memory, limit, status in (("size=0.5G", 4, 1), ("2", 4, 1), ("2", 258, 0)):
        command = place.command("--lock-memory", vmm=(FAKE_VMM, "-m", memory))
        env = place.environment()
        if limit << 20 > resource.getrlimit(resource.RLIMIT_MEMLOCK)[1] != resource.RLIM_INFINITY:
            print(f"# the hard limit here is below {limit} MiB")
            continue
        limited = ["prlimit", f"--memlock={1 << 16}:{limit << 20}", *drop]
        result = subprocess.run([*limited, *command], env=env, capture_output=True, text=True, check=False)
        if status:
            refused(result, 1, "--lock-memory", "768 MiB" if "G" in memory else "258 MiB", "4096 KiB", "LimitMEMLOCK=")
        equal(result.returncode, status)
        if not status:
            assert "mem-lock=on" in place.facts("arg"), place.facts("arg")


# Other ways to start a VM.


@case("--print-args: the image is the caller's")
def _(place):
    image = os.open(place.scratch, os.O_TMPFILE | os.O_RDWR | os.O_EXCL, 0o600)
    command = [WRAPPER, "--vm-disk-size=2", "--print-args", f"--image-fd={image}"]
    run = {"env": place.environment(), "text": True, "check": False, "pass_fds": [image]}
    result = subprocess.run(command, capture_output=True, **run)
    equal((result.returncode, result.stderr), (0, ""))
    equal(os.fstat(image).st_size, 2 * GIB)
    args = result.stdout.splitlines()
    for word in (f"fd={image},set=6377", "type=11,value=io.systemd.credential:ccvm.vm-disk=1", "dump-guest-core=off"):
        assert word in args, args
    assert "-chardev" not in args, args
    result = subprocess.run([*command, "x", "-M", "microvm"], capture_output=True, **run)
    assert "virtio-blk-device" in result.stdout and "x\n" not in result.stdout, result.stdout
    os.truncate(image, 5)
    refused(subprocess.run(command, capture_output=True, **run), 1, f"--image-fd={image}", "empty")
    os.close(image)
    run.pop("pass_fds")
    refused(subprocess.run(command, capture_output=True, **run), 1, f"--image-fd={image}", "not open")
    refused(subprocess.run(command[:3], capture_output=True, **run), 2, "--print-args", "--image-fd=N")
    for vmm in ("qemu", "cloud-hypervisor"):
        bad = [*command, "--marker=append", f"--vmm={vmm}", "x", "-append", "x"]
        refused(subprocess.run(bad, capture_output=True, **run), 2, "--print-args", "--marker=none")


@case("--print-args in a shell script: the manual's own example")
def _(place):
    need("bash")
    source = pathlib.Path(__file__).resolve().parent.parent.parent
    manual = (source / "man/ccvm-scratch-run.1.scd").read_text()
    [example] = [text for text in re.findall(r"```\n(.*?)```", manual, re.DOTALL) if "--print-args" in text]
    for name, program in (("ccvm-scratch-run", WRAPPER), ("qemu-system-x86_64", FAKE_VMM)):
        (place.path / name).symlink_to(program)
    images = place.path / ".cache/ccvm"
    env = place.environment(PATH=f"{place.path}:{os.environ['PATH']}")
    subprocess.run(["bash", "-c", example], env=env, check=True)
    number, _, size, _, mode, links = place.image()
    equal((number, size, mode, links), (9, 20 * GIB, "600", 0))
    equal(list(images.iterdir()), [])
    equal(place.facts("arg")[:3], ["qemu-system-x86_64", "-M", "q35"])
    assert "fd=9,set=6377" in place.facts("arg"), place.facts("arg")
    place.log.unlink()
    with mounted(images, "-t", "tmpfs", "tmpfs"):
        result = subprocess.run(["bash", "-c", example], env=env, check=False, capture_output=True, text=True)
        refused(result, 1, "in RAM (tmpfs)")
    equal(place.facts("pid"), [])  # no VM without its disk


@case("the manual's other commands, as they stand, in a fresh account")
def _(place):
    source = pathlib.Path(__file__).resolve().parent.parent.parent
    manual = (source / "man/ccvm-scratch-run.1.scd").read_text()
    examples = [text for text in re.findall(r"```\n(.*?)```", manual, re.DOTALL) if text.startswith("ccvm-scratch-run --")]
    equal(len(examples), 2)
    for name, program in (("ccvm-scratch-run", WRAPPER), ("qemu-system-x86_64", FAKE_VMM)):
        (place.path / name).symlink_to(program)
    for example in examples:
        place.log.unlink(missing_ok=True)
        env = place.environment("exit 0", ENCRYPTED, PATH=f"{place.path}:{os.environ['PATH']}")
        command = ["sh", "-c", example.replace("\\\\", "\\")]  # scdoc's own escape
        result = subprocess.run(command, env=env, cwd=place.path, check=False, capture_output=True, text=True)
        equal((result.returncode, result.stderr), (0, ""))
        equal(place.image()[2], int(re.search(r"--vm-disk-size=(\d+)", example).group(1)) * GIB)
    equal(read_status(place.path / "job1.json")["state"], "encrypted")


@case("--print-args for other VMMs, whose image can be opened by /proc/self/fd")
def _(place):
    image = os.open(place.scratch, os.O_TMPFILE | os.O_RDWR | os.O_EXCL, 0o600)
    numbers = os.fstat(image)
    serial = f"{numbers.st_dev}{numbers.st_rdev}{numbers.st_ino}"[:20]
    for vmm, words in (
        ("cloud-hypervisor", ["--disk", f"path=/proc/self/fd/{image},image_type=raw,serial=ccvm-scratch", "--platform"]),
        ("crosvm", ["--block", f"path=/proc/self/fd/{image},id=ccvm-scratch", "-p", "ccvm.vm_disk=1"]),
        ("firecracker", [f"ccvm.vm_disk=1 ccvm.serial={serial}"]),
        ("vmspawn", [f"--extra-drive=/proc/self/fd/{image}", "ccvm.vm_disk=1", f"ccvm.serial={image}"]),
    ):
        command = [WRAPPER, "--vm-disk-size=2", "--print-args", f"--image-fd={image}", f"--vmm={vmm}"]
        result = subprocess.run(command, env=place.environment(), text=True, check=False, capture_output=True, pass_fds=[image])
        equal((result.returncode, result.stderr), (0, ""))
        lines = result.stdout.splitlines()
        equal([word for word in words if word not in lines], [])
        if vmm == "firecracker":
            equal(json.loads(lines[0])["path_on_host"], f"/proc/self/fd/{image}")
    opened = os.open(f"/proc/self/fd/{image}", os.O_RDWR)
    equal(os.fstat(opened).st_ino, numbers.st_ino)


@case("next to nothing: at most 2 MiB of memory before the VMM starts")
def _(place):
    # A child of a shell, since a process keeps the peak of what it was before.
    env = place.environment()
    subprocess.run(["sh", "-c", '"$@"; true', "sh", *place.command()], env=env, check=True)
    [peak] = place.facts("maxrss")
    print(f"# peak RSS {peak} KiB")
    assert int(peak) <= 2048, f"{peak} KiB"


@case("next to nothing: the time until the VMM starts")
def _(place):
    def milliseconds(command):
        place.log.unlink(missing_ok=True)
        start = time.monotonic_ns()
        subprocess.run(command, env=env, check=True)
        return (int(place.facts("clock")[0]) - start) / 1e6

    env = place.environment()
    times = [[milliseconds(command) for _ in range(15)] for command in ([FAKE_VMM], place.command())]
    plain, wrapped = map(statistics.median, times)
    print(f"# {wrapped - plain:.1f} ms, median of 15")
    # The aim is 5 ms on a machine with nothing else to do, which one that runs tests is not.
    assert min(times[1]) - min(times[0]) < 50, times


# Real VMMs.

SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


def ask_qemu(place, program, machine, *options):
    """Starts a stopped VM, and returns what its monitor says of our devices."""
    need(program)
    vmm = (program, "-M", machine, "-S", "-nodefaults", "-display", "none", "-sandbox", SANDBOX, "-monitor", "stdio")
    result = subprocess.run(
        place.command("--vm-disk-size=20", *options, vmm=vmm),
        env=place.environment(),
        input="info block\ninfo chardev\ninfo iothreads\ninfo qtree\nquit\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    equal((result.returncode, result.stderr), (0, ""))
    equal(place.left(), [])
    return result.stdout


def check_qemu(place, program, machine, disk, serial):
    text = ask_qemu(place, program, machine)
    equal("ccvm-scratch-io:" in text, not machine.startswith("microvm"))
    for words in (
        "writeback, ignore flushes",
        f"dev: {disk}, id",
        'serial = "ccvm-scratch"',
        f"dev: {serial}, id",
        'name = "ccvm.status"',
        "ccvm-scratch-report: filename=unix:",
    ):
        assert words in text, f"no {words!r} in {text}"


@case("QEMU takes it: q35, sandboxed")
def _(place):
    check_qemu(place, "qemu-system-x86_64", "q35,accel=tcg", "virtio-blk-pci", "virtio-serial-pci")


@case("QEMU takes it: pc, sandboxed")
def _(place):
    check_qemu(place, "qemu-system-x86_64", "pc,accel=tcg", "virtio-blk-pci", "virtio-serial-pci")


@case("QEMU takes it: microvm, sandboxed")
def _(place):
    check_qemu(place, "qemu-system-x86_64", "microvm,accel=tcg", "virtio-blk-device", "virtio-serial-device")


@case("QEMU takes it: virt on aarch64, sandboxed; assembled, not booted")
def _(place):
    result = place.run("--dry-run", vmm=("qemu-system-aarch64", "-M", "virt"))
    equal((result.returncode, result.stderr), (0, ""))
    for words in ('"driver":"virtio-blk"', '"driver":"virtio-serial"', "opt/io.systemd.credentials/ccvm.vm-disk"):
        assert words in result.stdout, result.stdout
    check_qemu(place, "qemu-system-aarch64", "virt,accel=tcg", "virtio-blk-pci", "virtio-serial-pci")


class Qemu:
    """A stopped VM behind the wrapper, and its monitor; for what QEMU itself does with the image."""

    def __init__(self, place, *options, scratch=None):
        need("qemu-system-x86_64")
        ours, theirs = socket.socketpair()
        vmm = ("qemu-system-x86_64", "-M", "q35,accel=tcg", "-m", "64", "-smp", "2", "-S", "-nodefaults", "-display", "none")
        monitor = ("-chardev", f"socket,id=qmp,fd={theirs.fileno()}", "-qmp", "chardev:qmp")
        where = [f"--scratch-dir={scratch}"] if scratch else []
        self.process = subprocess.Popen(
            place.command(*options, *where, vmm=(*vmm, "-sandbox", SANDBOX, *monitor)),
            env=place.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
        )
        place.processes.append(self.process)
        theirs.close()
        self.monitor = ours.makefile("rwb")
        self.monitor.readline()  # the greeting
        self.execute("qmp_capabilities")

    def execute(self, command, **arguments):
        """Returns what the command does, over whatever events come in between."""
        self.monitor.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        self.monitor.flush()
        while True:
            line = self.monitor.readline()
            assert line, self.process.communicate()[1]
            answer = json.loads(line)
            assert "error" not in answer, answer
            if "return" in answer:
                return answer["return"]

    def ask(self, command):
        """Of the monitor for people."""
        return self.execute("human-monitor-command", **{"command-line": command})

    def io(self, command):
        """As the device itself would do it. What it says comes on QEMU's stdout."""
        self.ask(f'qemu-io -d /machine/peripheral/ccvm-scratch-disk/virtio-backend "{command}"')

    def image(self):
        """What stat(2) says of the image."""
        for link in pathlib.Path(f"/proc/{self.process.pid}/fd").iterdir():
            if "(deleted)" in os.readlink(link) and stat.S_ISREG(link.stat().st_mode):
                return link.stat()
        raise AssertionError("QEMU has no image")

    def end(self, how=None):
        """By the monitor, or by a signal. Returns the exit status and what was on stdout."""
        if how:
            self.process.send_signal(how)
        else:
            self.execute("quit")
        stdout, stderr = self.process.communicate(timeout=20)
        equal([line for line in stderr.decode().splitlines() if "terminating on signal" not in line], [])
        return self.process.returncode, stdout.decode()


@case("QEMU writes to the image, and a discard gives the blocks back")
def _(place):
    qemu = Qemu(place)
    print(f"# QEMU {qemu.execute('query-version')['package']}")
    assert qemu.image().st_blocks * 512 <= 64 * 1024, qemu.image()
    disk = "/machine/peripheral/ccvm-scratch-disk/virtio-backend"
    equal(qemu.execute("qom-get", path=disk, property="iothread"), "/objects/ccvm-scratch-io")
    equal(qemu.execute("qom-get", path=disk, property="num-queues"), 2)  # QEMU's own default, the guest's CPUs
    qemu.io("write -P 0xa5 4M 16M")
    assert qemu.image().st_blocks * 512 >= 16 << 20, qemu.image()
    qemu.io("discard 4M 16M")
    assert qemu.image().st_blocks * 512 <= 64 * 1024, qemu.image()
    status, text = qemu.end()
    equal(status, 0)
    for words in ("wrote 16777216/16777216", "discard 16777216/16777216"):
        assert words in text, text


@case("QEMU on a disk that is full: an I/O error for the guest, the VM goes on, and the space comes back")
def _(place):
    with small_disk(place) as mnt:
        qemu = Qemu(place, "--vm-disk-size=96M", scratch=mnt)
        filler = make_file(mnt / "filler", 0)
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as f:
            while True:
                f.write(bytes(1 << 20))
        qemu.io("write 0 32M")
        equal(qemu.execute("query-status")["status"], "prelaunch")
        text = qemu.ask("info qtree")
        assert 'rerror = "report"' in text and 'werror = "report"' in text, text
        filler.unlink()
        status, text = qemu.end()
        equal(status, 0)
        assert "No space left" in text, text


@case("QEMU ends by SIGTERM, SIGHUP, SIGINT, SIGKILL, and nothing is left")
def _(place):
    for how, status in ((signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGINT, 0), (signal.SIGKILL, -9)):
        qemu = Qemu(place)
        equal((how, *qemu.end(how)), (how, status, ""))
        equal((place.left(), holders(place.scratch)), ([], []))


@case("QEMU is ended by its monitor with --require-encrypted, behind a launcher, too")
def _(place):
    need("qemu-system-x86_64")
    vmm = ("qemu-system-x86_64", "-M", "q35,accel=tcg", "-m", "64", "-nodefaults", "-display", "none", "-sandbox", SANDBOX)
    for launcher in ((), ("timeout", "60"), ("unshare", "-pf")):
        options = ("--require-encrypted", "--report-timeout=1")
        result = place.run(*options, vmm=(*launcher, *vmm))  # a BIOS that finds nothing to boot says nothing
        equal((result.returncode, result.stderr), (3, f"ccvm-scratch-run: guest has said nothing of its disk{ENDING}\n"))
        equal((place.left(), holders(place.scratch)), ([], []))


WITHOUT_FIRMWARE = (
    ("qemu-system-s390x", "s390-ccw-virtio"),
    ("qemu-system-ppc64", "pseries,cap-cfpc=broken,cap-ibs=broken,cap-ccf-assist=off"),  # what TCG has
    ("qemu-system-riscv64", "virt"),
)


@case("QEMU for a machine without SMBIOS and fw_cfg: a warning that nothing tells the guest")
def _(place):
    for program, machine in WITHOUT_FIRMWARE:
        result = place.run("--dry-run", vmm=(program, "-M", machine))
        equal(result.returncode, 0)
        assert "Nothing tells the guest" in result.stderr, result.stderr


@case("QEMU for a machine without SMBIOS and fw_cfg starts, with its disk")
def _(place):
    for program, machine in WITHOUT_FIRMWARE:
        text = ask_qemu(place, program, machine, "--marker=none")
        assert 'serial = "ccvm-scratch"' in text, text


@case("QEMU locks guest RAM with --lock-memory, sandboxed")
def _(place):
    for options, least in (((), 0), (("--lock-memory",), 64 << 10)):
        qemu = Qemu(place, *options)
        text = pathlib.Path(f"/proc/{qemu.process.pid}/status").read_text()
        locked = int(re.search(r"VmLck:\s*(\d+) kB", text).group(1))
        assert locked >= least and bool(locked) == bool(least), (options, locked)
        equal(qemu.end(), (0, ""))


@case("QEMU keeps guest RAM out of core dumps, whatever -machine says")
def _(place):
    need("qemu-system-x86_64")
    vmm = ("qemu-system-x86_64", "-M", "q35,accel=tcg,dump-guest-core=on", "-S", "-nodefaults", "-display", "none")
    result = subprocess.run(
        place.command(vmm=(*vmm, "-monitor", "stdio")),
        env=place.environment(),
        input="qom-get /machine dump-guest-core\nquit\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    equal((result.returncode, result.stderr), (0, ""))
    assert "\nfalse" in result.stdout.replace("\r", ""), result.stdout


def run_case(number, name, function):
    """Prints the TAP lines of one case. Whether it is all right."""
    with tempfile.TemporaryDirectory(prefix="ccvm-test-", dir=DISK) as path:
        place = Place(path)
        try:
            function(place)
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
            return True
        except Exception as error:  # whatever it trips over is the case's failure, and the next one's turn
            print(f"not ok {number} - {name}")
            print("\n".join(f"# {line}" for line in f"{type(error).__name__}: {error}".splitlines()), flush=True)
            return False
        finally:
            for process in place.processes:
                process.kill()
    print(f"ok {number} - {name}", flush=True)
    return True


def main():
    if os.geteuid() == 0 and not os.environ.get("CCVM_TEST_PRIVATE"):
        os.environ["CCVM_TEST_PRIVATE"] = "1"
        command = ["unshare", "-m", "--propagation", "private", sys.executable, *sys.argv]
        os.execvp(command[0], command)
    os.umask(0o022)
    cases = [c for c in CASES if not sys.argv[4:] or any(word in c[0] for word in sys.argv[4:])]
    print(f"1..{len(cases)}")
    results = [run_case(i, *c) for i, c in enumerate(cases, 1)]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
