# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the cases of ccvm-scratch-run are made of: a directory for each, a stand-in for the VMM, mounts, and QEMU itself."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
WRAPPER, STAND_IN, NO_TMPFILE = (os.path.abspath(p) for p in sys.argv[1:4])
# Under a name by which the wrapper knows QEMU.
NAMES = tempfile.TemporaryDirectory(prefix="ccvm-names-")
FAKE_VMM = f"{NAMES.name}/qemu-system-x86_64"
os.symlink(STAND_IN, FAKE_VMM)
DISK = os.environ.get("CCVM_TEST_DIR", "/var/tmp")
GIB = 1 << 30

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
        self.status = self.path / "status"
        self.processes = []  # what a case that fails would leave

    def environment(self, todo="exit 0", report=None, **extra):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("CCVM_", "XDG_")) and k != "CACHE_DIRECTORY"}
        env |= {"HOME": str(self.path), "FAKE_VMM_LOG": str(self.log), "FAKE_VMM_DO": todo}
        if report is not None:
            env["FAKE_VMM_REPORT"] = report
        return env | extra

    def command(self, *options, size="1", vmm=(FAKE_VMM,)):
        return [WRAPPER, f"--vm-disk-size={size}", f"--scratch-dir={self.scratch}", *options, "--", *vmm]

    def run(self, *options, size="1", vmm=(FAKE_VMM,), todo="exit 0", report=None, before=(), **extra):
        return subprocess.run(
            [*before, *self.command(*options, size=size, vmm=vmm)],
            env=self.environment(todo, report, **extra),
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def start(self, *options, todo="wait", vmm=(FAKE_VMM,), report=None, **extra):
        """Starts it and waits until the VMM is there."""
        env = self.environment(todo, report, **extra)
        others = self.ready()
        process = subprocess.Popen(self.command(*options, vmm=vmm), env=env, stderr=subprocess.PIPE, text=True)
        self.processes.append(process)
        self.wait_for_vmm(others)
        return process

    def ready(self):
        """How many VMMs there have been."""
        return self.log.read_text().count("ready\n") if self.log.exists() else 0

    def wait_for_vmm(self, others=0):
        wait_until(lambda: self.ready() > others, "the VMM to start")

    def facts(self, key):
        """What the VMM's log says under this key."""
        if not self.log.exists():
            return []
        lines = self.log.read_text().splitlines()
        return [line[len(key) + 1 :] for line in lines if line.startswith(key + " ")]

    def inherited(self):
        """What the VMM has open besides 0 to 2: by number target, size in bytes, allocated bytes, mode and links."""
        found = {}
        for fact in self.facts("fd"):
            head, size, blocks, mode, links = fact.rsplit(" ", 4)
            number, target = head.split(" ", 1)
            if int(number) > 2:
                found[int(number)] = target, int(size), int(blocks) * 512, mode, int(links)
        return found

    def image(self):
        """The image's number, target, size in bytes, allocated bytes, mode and links, as the VMM inherited it."""
        for number, (target, *rest) in self.inherited().items():
            if f"fd={number},set=6377" in self.facts("arg"):
                return number, target, *rest
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


def refused(result, *words, status=125):
    """One line on stderr, with these words in it, nothing on stdout."""
    equal((result.returncode, result.stdout), (status, ""))
    lines = result.stderr.splitlines()
    equal(len(lines), 1)
    assert lines[0].startswith("ccvm-scratch-run: "), lines[0]
    for word in words:
        assert word in lines[0], f"{word!r} is not in {lines[0]!r}"


def warnings(stderr):
    """The wrapper's own. QEMU has some of old machine types, and of NICs that are connected to nothing."""
    return [line for line in stderr.splitlines() if line.startswith("ccvm-scratch-run: ")]


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


def nothing_left(place, process):
    """The VMM has ended, and with it all that was its own."""
    equal(process.communicate(timeout=60)[1], "")
    assert not alive(int(place.facts("pid")[0]))
    equal((place.left(), holders(place.scratch)), ([], []))


@contextlib.contextmanager
def mounted(target, *args):
    """Mounts on a directory that is made for it; a file system that the kernel lacks is a skip."""
    target.mkdir(parents=True, exist_ok=True)
    need_root()
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


@contextlib.contextmanager
def small_disk(place, *options):
    """The mount point of a disk that a VM can fill; afterwards nothing of it is left, and the space is free again."""
    need("mkfs.ext4")
    file = make_file(place.path / "file", 128 << 20)
    subprocess.run(["mkfs.ext4", "-q", *options, str(file)], check=True)
    with loop_device(file) as loop, mounted(place.path / "mnt", loop) as mnt:
        free = os.statvfs(mnt).f_bfree
        yield mnt
        equal([p.name for p in mnt.iterdir()], ["lost+found"])
        wait_until(lambda: os.statvfs(mnt).f_bfree >= free - 16, "the space to come back")


def fill(path):
    """Writes a file until the disk is full."""
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as f:
        while True:
            f.write(bytes(1 << 20))
    return path


def make_file(path, size):
    with open(path, "wb") as f:
        f.truncate(size)
    return path


def need(program):
    if not shutil.which(program):
        raise Skip(f"no {program}")


def need_root():
    if os.geteuid() != 0:
        raise Skip("mounts and namespaces want root")


# All that a sandboxed QEMU may be forbidden.
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


class Qemu:
    """A VM of QEMU's, stopped by default, behind the wrapper or without it, and its monitor."""

    def __init__(self, place, vmm, *options, wrapped=True, scratch=None, stopped=True):
        need(vmm[0])
        ours, theirs = socket.socketpair()
        vmm = [*vmm, "-display", "none", "-sandbox", SANDBOX, "-chardev", f"socket,id=qmp,fd={theirs.fileno()}", "-qmp", "chardev:qmp"]
        vmm += ["-S"] if stopped else []
        where = [f"--scratch-dir={scratch}"] if scratch else []
        self.process = subprocess.Popen(
            place.command(*options, *where, vmm=vmm) if wrapped else vmm,
            env=place.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
        )
        place.processes.append(self.process)
        theirs.close()
        self.monitor = ours.makefile("rwb")
        self.read()  # the greeting
        self.execute("qmp_capabilities")

    def read(self):
        """A line of the monitor."""
        with contextlib.suppress(ConnectionError):
            line = self.monitor.readline()
            if line:
                return json.loads(line)
        raise AssertionError(f"QEMU has ended: {self.process.communicate()[1].decode()} ({self.process.args})")

    def execute(self, command, **arguments):
        """Returns what the command does, over whatever events come in between."""
        self.monitor.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        self.monitor.flush()
        while True:
            answer = self.read()
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
        """By the monitor, or by a signal. Returns the exit status, stdout and what is remarkable on stderr."""
        if how:
            self.process.send_signal(how)
        else:
            self.execute("quit")
        stdout, stderr = self.process.communicate(timeout=20)
        return self.process.returncode, stdout.decode(), "".join(
            f"{line}\n" for line in stderr.decode().splitlines() if "terminating on signal" not in line
        )


# What takes next to nothing to start.
PLAIN = ("qemu-system-x86_64", "-M", "q35,accel=tcg", "-m", "64", "-nodefaults")
