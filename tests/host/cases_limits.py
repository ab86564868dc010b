# SPDX-License-Identifier: LGPL-2.1-or-later
"""The caller's descriptors and limits, and guest RAM."""

import contextlib
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys

from harness import PLAIN, Qemu, case, equal, holders, need, need_root, refused, wait_until


@case("standard descriptors closed, in all eight ways: the VMM starts, and its image is none of them")
def _(place):
    for closed in range(8):
        for option in ((), (f"--status-file={place.status}", "--require-encrypted")):
            place.log.unlink(missing_ok=True)
            close = " ".join(f"{fd}>&-" for fd in range(3) if closed & 1 << fd)
            command = ["sh", "-c", f'exec "$@" {close}', "sh", *place.command(*option)]
            result = subprocess.run(
                command, env=place.environment("exit 6", "encrypted\n"), stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=20
            )
            equal((closed, option, result.returncode, result.stdout, result.stderr), (closed, option, 6, b"", b""))
            assert place.image()[0] > 2, place.image()
            equal(holders(place.scratch), [])


def nameless(place):
    """How often a nameless image of the size that this test asks for is open on the disk."""
    device, count = place.scratch.stat().st_dev, 0
    for link in pathlib.Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            found = link.stat()
            count += [found.st_dev, found.st_nlink, found.st_size] == [device, 0, 77 << 20]
    return count


@case("without /proc, as in some sandboxes, the VMM starts, alone with its image")
def _(place):
    need_root()
    hide = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=1m,mode=755 none /proc; exec "$@"', "sh"]
    command = [*hide, *place.command(f"--status-file={place.status}", size="77M")]
    process = subprocess.Popen(command, env=place.environment("wait"), stderr=subprocess.PIPE, text=True)
    place.processes.append(process)
    place.wait_for_vmm()
    equal(nameless(place), 1)  # by what it is: its path is that of another mount namespace
    process.kill()
    process.communicate(timeout=60)
    equal(nameless(place), 0)


@case("without /sys the VMM starts, without a word")
def _(place):
    need_root()
    hide = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=1m,mode=755 none /sys; exec "$@"', "sh"]
    result = place.run(before=hide)
    equal((result.returncode, [line for line in result.stderr.splitlines() if "swap" not in line]), (0, []))


@case("limits on files and descriptors are one line, before anything starts, and SIGCHLD ignored is none")
def _(place):
    need("prlimit")
    for limit, words in (("--fsize=1048576", ("RLIMIT_FSIZE", "1 MiB", "1024 MiB")), ("--fsize=1", ("RLIMIT_FSIZE",)), ("--nofile=4", ())):
        refused(place.run(before=["prlimit", limit]), *words)
        equal((place.left(), place.facts("pid")), ([], []))
    script = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    result = place.run(before=[sys.executable, "-c", script], todo="exit 6")
    equal((result.returncode, result.stderr), (6, ""))


@case("a JOURNAL_STREAM that is somebody else's changes nothing")
def _(place):
    refused(place.run("--scratch-dir=/missing/missing", JOURNAL_STREAM="9:1"), "'/missing/missing'")


@case("-daemonize: the caller's pipes end with the start, whatever the guest does")
def _(place):
    need("qemu-system-x86_64")
    pidfile = place.path / "pid"
    for option in ((), (f"--status-file={place.status}", "--require-encrypted")):
        result = place.run(*option, vmm=(*PLAIN, "-S", "-display", "none", "-daemonize", "-pidfile", str(pidfile)))
        equal((result.returncode, result.stdout, result.stderr), (0, "", ""))
        os.kill(int(pidfile.read_text()), signal.SIGTERM)
        wait_until(lambda: not holders(place.scratch), "the VM to end")


@case("one warning when the host swaps to a device in the clear, none with --lock-memory")
def _(place):
    need_root()
    heading = "Filename\tType\tSize\tUsed\tPriority\n"
    swaps = place.path / "swaps"
    for text, lines in ((heading, 0), (heading + "/dev/nothing partition 1 0 -2\n/swapfile file 1 0 -2\n", 1)):
        swaps.write_text(text)
        subprocess.run(["mount", "--bind", str(swaps), "/proc/swaps"], check=True)
        try:
            result = place.run()
            locked = place.run("--lock-memory")
        finally:
            subprocess.run(["umount", "/proc/swaps"], check=True)
        equal((result.returncode, len(result.stderr.splitlines())), (0, lines))
        equal((locked.returncode, locked.stderr), (0, ""))
        if lines:
            assert "'/dev/nothing'" in result.stderr and "--lock-memory" in result.stderr, result.stderr


@case("--lock-memory raises the soft limit to the hard one")
def _(place):
    need("prlimit")
    hard = 1 << 24
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[1] < hard != resource.RLIM_INFINITY:
        hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
    for options, soft in (((), 1 << 16), (("--lock-memory",), hard)):
        place.log.unlink(missing_ok=True)
        equal(place.run(*options, before=["prlimit", f"--memlock={1 << 16}:{hard}"]).returncode, 0)
        equal(place.facts("memlock"), [f"{soft} {hard}"])


@case("QEMU locks guest RAM with --lock-memory, sandboxed")
def _(place):
    for options, least in (((), 0), (("--lock-memory",), 64 << 10)):
        qemu = Qemu(place, PLAIN, *options)
        text = pathlib.Path(f"/proc/{qemu.process.pid}/status").read_text()
        locked = int(re.search(r"VmLck:\s*(\d+) kB", text).group(1))
        assert locked >= least and bool(locked) == bool(least), (options, locked)
        equal(qemu.end(), (0, "", ""))


@case("QEMU says itself that a limit is too low to lock guest RAM")
def _(place):
    need("prlimit")
    need("qemu-system-x86_64")
    drop = []
    if os.geteuid() == 0:
        need("setpriv")
        drop = ["setpriv", "--bounding-set=-ipc_lock"]
    result = place.run("--lock-memory", vmm=(*PLAIN, "-display", "none"), before=["prlimit", f"--memlock={1 << 16}:{1 << 22}", *drop])
    assert result.returncode == 1 and "lock" in result.stderr, (result.returncode, result.stderr)


@case("QEMU keeps guest RAM out of core dumps, whatever -machine says")
def _(place):
    qemu = Qemu(place, ("qemu-system-x86_64", "-M", "q35,accel=tcg,dump-guest-core=on", "-nodefaults"))
    equal(qemu.execute("qom-get", path="/machine", property="dump-guest-core"), False)
    equal(qemu.end(), (0, "", ""))
