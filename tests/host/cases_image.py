# SPDX-License-Identifier: LGPL-2.1-or-later
"""The image, and the directory that it is in."""

import contextlib
import fcntl
import os
import pathlib
import subprocess
import time

from harness import (
    FAKE_VMM, GIB, NO_TMPFILE, WRAPPER, case, equal, fill, holders, make_file, mounted, need, need_root, nothing_left, refused, small_disk,
    wait_until,
)

FS_IOC_GETFLAGS = 0x80086601


@case("of the default directory only what is missing is made: of the rest mkdir(2) may say anything, as on a server")
def _(place):
    need("strace")
    # .cache and ccvm are made, then nothing any more.
    for when in ("3+", "1+"):
        strace = ["strace", "-qq", "-f", "-o", "/dev/null", "-e", f"inject=mkdir:error=EACCES:when={when}"]
        command = [*strace, WRAPPER, "--vm-disk-size=1", "--", FAKE_VMM]
        result = subprocess.run(command, env=place.environment(), capture_output=True, check=False)
        equal((when, result.returncode, result.stderr), (when, 0, b""))


@case("the image is nameless, 0600, and with its directory all that the VMM gets")
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
    inherited = place.inherited()
    del inherited[number]
    equal([entry[0] for entry in inherited.values()], [str(place.scratch)])
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
        with open(f"/proc/{process.pid}/fd/{place.image()[0]}", "rb") as nameless:
            assert fcntl.ioctl(nameless, FS_IOC_GETFLAGS, bytes(8))[2] & 0x80, "FS_NOCOW_FL is not set"
        process.terminate()
        process.wait(10)


def run_by_default(place, *options, **extra):
    """Without a --scratch-dir=, and with no more of the environment than is given."""
    place.log.unlink(missing_ok=True)
    env = {k: v for k, v in place.environment(**extra).items() if v}
    return subprocess.run([WRAPPER, "--vm-disk-size=1", *options, FAKE_VMM], env=env, check=False, capture_output=True, text=True)


@case("the default directory is made, 0700, below $XDG_CACHE_HOME or ~/.cache")
def _(place):
    for extra, directory in (({}, ".cache/ccvm"), ({"XDG_CACHE_HOME": str(place.path / "c")}, "c/ccvm")):
        equal(run_by_default(place, **extra).returncode, 0)
        for made in (place.path / directory, (place.path / directory).parent):
            equal(made.stat().st_mode & 0o7777, 0o700)
        equal(list((place.path / directory).iterdir()), [])


@case("a home directory is never made")
def _(place):
    home = place.path / "nonexistent"
    for extra in ({"HOME": str(home)}, {"XDG_CACHE_HOME": str(home / ".cache")}):
        refused(run_by_default(place, **extra), str(home), "--scratch-dir=DIR")
        assert not home.exists()


@case("without HOME and XDG_CACHE_HOME the image is in $CACHE_DIRECTORY, as in a service, or in /var/tmp")
def _(place):
    for extra, where in (
        ({"HOME": "", "CACHE_DIRECTORY": str(place.scratch)}, place.scratch),
        ({"HOME": "", "CACHE_DIRECTORY": f"{place.scratch}:/other"}, place.scratch),
        ({"HOME": ""}, pathlib.Path("/var/tmp")),
    ):
        result = run_by_default(place, **extra)
        if "in RAM" in result.stderr and where.match("/var/tmp"):
            print("# /var/tmp is in RAM here")
            continue
        equal((result.returncode, result.stderr), (0, ""))
        assert place.image()[1].startswith(f"{where}/"), place.image()


@case("a scratch directory that was aged away is made again, but nothing above it")
def _(place):
    gone = place.path / "gone"
    result = place.run(f"--scratch-dir={gone}")
    equal((result.returncode, result.stderr, gone.stat().st_mode & 0o7777), (0, "", 0o700))
    missing = place.path / "missing/missing"
    refused(place.run(f"--scratch-dir={missing}"), str(missing), "--scratch-dir=DIR")
    assert not missing.parent.exists()
    refused(place.run(f"--scratch-dir={place.log}"), str(place.log), "--scratch-dir=DIR")


def can_lock(directory):
    """As systemd-tmpfiles tries it before it removes what looks old and empty."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


@case("the scratch directory is locked, shared, for as long as a VM runs, but not one that others have files in")
def _(place):
    processes = [place.start(), place.start()]
    assert not can_lock(place.scratch)
    for process in processes:
        assert not can_lock(place.scratch)
        process.kill()
        process.communicate(timeout=60)
    assert can_lock(place.scratch)
    place.scratch.chmod(0o1777)
    process = place.start()
    assert can_lock(place.scratch)
    process.kill()


@case("systemd-tmpfiles leaves the directory of a running VM alone, and takes it when it is not used any more")
def _(place):
    need("systemd-tmpfiles")
    need_root()
    above = place.path / "above"
    above.mkdir()
    conf = place.path / "aged.conf"
    conf.write_text(f"d {above} - - - 1s\n")
    process = place.start(f"--scratch-dir={above}/ccvm")
    time.sleep(1.5)
    for running in (True, False):
        subprocess.run(["systemd-tmpfiles", "--clean", str(conf)], check=True, capture_output=True)
        equal((above / "ccvm").exists(), running)
        process.kill()
        process.communicate(timeout=60)


@case("--keep-image keeps a named image, locked, and takes only a new file")
def _(place):
    image = place.path / "kept"
    process = place.start(f"--keep-image={image}")
    with open(image, "rb") as f:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            raise AssertionError("it is not locked")
        process.terminate()
        process.wait(10)
        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    equal((image.stat().st_size, image.stat().st_mode & 0o7777), (GIB, 0o600))
    refused(place.run(f"--keep-image={image}"), str(image), "new file", "remove it", "--keep-image")
    precious = place.path / "precious"
    precious.write_text("precious")
    refused(place.run(f"--keep-image={precious}"), str(precious))
    equal(precious.read_text(), "precious")
    link = place.path / "link"
    link.symlink_to(place.path / "nothing")
    refused(place.run(f"--keep-image={link}"), str(link))
    refused(place.run(f"--keep-image={place.path}/unmade", size="8388607T"), "unmade")
    assert not (place.path / "unmade").exists()


@case("too little free space is refused, less than the size is a warning")
def _(place):
    for free, size, status, words in ((32, "64M", 125, "at least 64 MiB"), (128, "1G", 0, "guest gets I/O errors")):
        with mounted(place.path / "ram", "-t", "tmpfs", "-o", f"size={free}m", "tmpfs") as ram:
            result = place.run(f"--scratch-dir={ram}", size=size, CCVM_SCRATCH_ALLOW_TMPFS="1")
            equal(result.returncode, status)
            equal(len(result.stderr.splitlines()), 1)
            assert words in result.stderr, result.stderr


@case("a disk that is full: one line before anything starts, also where the free space is not told")
def _(place):
    with small_disk(place) as mnt:
        filler = fill(mnt / "filler")
        refused(place.run(f"--scratch-dir={mnt}", size="64M"), "'" + str(mnt) + "'", "make room there")
        need("strace")
        # As with a quota, of which statfs(2) knows nothing.
        filler.unlink()
        for error, words in (("EDQUOT", "quota"), ("ENOSPC", "No space left")):
            before = ["strace", "-qq", "-o", "/dev/null", "-e", f"inject=pwrite64:error={error}"]
            refused(place.run(f"--scratch-dir={mnt}", size="64M", before=before), str(mnt), "make room there", words)
    equal(place.facts("pid"), [])


@case("a size that the file system does not take is refused")
def _(place):
    with small_disk(place, "-b", "1024") as mnt:
        result = place.run(f"--scratch-dir={mnt}", size="8000000T")
        equal(result.returncode, 125)
        assert "does not take a file of" in result.stderr.splitlines()[-1], result.stderr


@case("100 wrappers at once in one directory do not disturb each other")
def _(place):
    logs = [place.path / f"log.{i}" for i in range(100)]
    processes = []
    for log in logs:
        env = place.environment("wait", FAKE_VMM_LOG=str(log))
        processes.append(subprocess.Popen(place.command(), env=env))
    place.processes += processes
    for log in logs:
        wait_until(lambda log=log: log.exists() and "ready\n" in log.read_text(), "all to start", 60)
    inodes = {os.stat(link).st_ino for link in holders(f"{place.scratch}/")}
    equal(len(inodes), 100)
    for process in processes[::2]:
        process.kill()
    for process in processes[1::2]:
        process.terminate()
    for i, process in enumerate(processes):
        equal(process.wait(10), 40 + 15 if i % 2 else -9)
    equal((place.left(), holders(place.scratch)), ([], []))
