# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that boots, runs a script from the host, and is asked how it went.

The verdict comes through a virtio-serial port, never from the console: the script goes in as the system credential
ccvm.test, and ccvm-report.service of the reference guest sends back what it prints, in sections, each headed by
"== name". The unit's own line is the last one, so that a guest that dies in between is told from one that is done.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

import machine
from machine import Machine
from script import Script

BUILD = pathlib.Path(__file__).parent.parent / "guest/build"
COMPATIBILITY = pathlib.Path(__file__).parent.parent / "compatibility/build"
SCHEMA = json.loads((pathlib.Path(__file__).parents[2] / "status/status.schema.json").read_text())
LOGS = pathlib.Path(os.environ.get("CCVM_BOOT_LOGS", tempfile.gettempdir()))

# Seconds of wall clock: an emulated boot takes half a minute when it has a core for itself.
TIME_LIMIT = 300


class Failure(Exception):
    """The outcome is not what the case demands."""


class Skipped(Exception):
    """The case cannot run here."""


def check(condition, what):
    if not condition:
        raise Failure(what)


def check_equal(actual, expected, what):
    check(actual == expected, f"{what}\n  expected: {expected!r}\n  came:     {actual!r}")


def check_missing(report, paths):
    """Of the pool's mount points; then it is told, and status is degraded."""
    check_equal(report.now["missing"], list(paths), "missing mounts")
    check_equal(report.line("status-exit") == "3", bool(paths) or report.status["state"] in ("tmpfs", "none"), "exit 3")


def build_guest(profile):
    """Another guest than the reference guest: made once, whoever asks first."""
    build = subprocess.run([BUILD, f"--profile={profile}"], stdout=subprocess.PIPE, text=True)
    check_equal(build.returncode, 0, f"exit status of tests/guest/build --profile={profile}")
    return pathlib.Path(build.stdout.strip())


def check_schema(text):
    """Each status that is in a report, on a line of its own, is as the schema has it."""
    import jsonschema  # not to list the cases

    for line in text.splitlines():
        if line.startswith('{"state":'):
            try:
                jsonschema.validate(json.loads(line), SCHEMA)
            except jsonschema.ValidationError as error:
                raise Failure(f"a status that is not as in the schema: {error.message} ({line})") from None


def last_release():
    """The directory into which the last release is installed: made once, whoever asks first."""
    build = subprocess.run([COMPATIBILITY], stdout=subprocess.PIPE, text=True)
    if build.returncode == 77:
        raise Skipped(build.stdout.strip())
    check_equal(build.returncode, 0, "exit status of tests/compatibility/build")
    return pathlib.Path(build.stdout.strip())


class Image:
    """A disk image; sparse, and made anew unless it is there."""

    def __init__(self, path, size, flush=True):
        self.path, self.flush = pathlib.Path(path), flush
        if not self.path.exists():
            with open(self.path, "wb") as f:
                f.truncate(size)

    def allocated(self):
        """Bytes that it takes on the host's disk."""
        return self.path.stat().st_blocks * 512

    def is_zero(self):
        with open(self.path, "rb") as f:
            return not any(any(block) for block in iter(lambda: f.read(1 << 20), b""))

    def backend(self, number=0, read_only=False, aio="threads"):
        """QEMU's words for the image alone, ready to be plugged in."""
        file = f"file.driver=file,file.aio={aio},file.filename={self.path},file.locking=off"
        access = f"discard=unmap,read-only={'on' if read_only else 'off'},cache.no-flush={'off' if self.flush else 'on'}"
        return ["-blockdev", f"driver=raw,node-name=scratch{number},{access},{file}"]

    def device(self, number=0, serial="ccvm-scratch", read_only=False, driver="virtio-blk-pci", aio="threads", **properties):
        """And for a device with it."""
        more = "".join(f",{name}={value}" for name, value in properties.items())
        device = f"{driver},drive=scratch{number},serial={serial}{more}"
        return [*self.backend(number, read_only, aio), "-device", device]


class Report:
    """What the guest said, by section."""

    def __init__(self, text):
        self.text = text
        self.sections = {}
        name = None
        for line in text.splitlines():
            if line.startswith("== "):
                name = line[3:]
                self.sections[name] = []
            elif name is not None:
                self.sections[name].append(line)

    def lines(self, name):
        check(name in self.sections, f"the guest did not report '{name}'; it said: {self.text[-2000:]!r}")
        return [line for line in self.sections[name] if not line.startswith("ccvm.test: ")]

    def line(self, name):
        lines = self.lines(name)
        check_equal(len(lines), 1, f"lines of '{name}' ({lines})")
        return lines[0]

    @property
    def status(self):
        """What the set-up has written."""
        return json.loads("\n".join(self.lines("status-json")))

    @property
    def now(self):
        """What the command says."""
        return json.loads("\n".join(self.lines("status-now")))

    @property
    def failed(self):
        return set(self.lines("failed"))

    @property
    def journal(self):
        """The entries of this boot until then."""
        return [json.loads(line) for line in self.sections.get("journal", []) if line.startswith("{")]

    def mount(self, target):
        """The topmost mount on target, or None."""
        mounts = json.loads("\n".join(self.lines("mounts")))["filesystems"]
        found = [m for m in mounts if m["target"] == target]
        return found[-1] if found else None


class Port:
    """The host's end of a socket that QEMU serves; a virtio-serial port, or QMP."""

    def __init__(self, path, process):
        self.process = process
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIME_LIMIT)
        while True:
            try:
                self.socket.connect(str(path))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if process.poll() is not None:
                    raise self.ended()
                time.sleep(0.05)
        self.file = self.socket.makefile("rwb")

    def ended(self):
        return Failure(f"QEMU has ended: {self.process.communicate()[0]!r}")

    def read(self):
        try:
            line = self.file.readline()
        except ConnectionError:
            line = b""
        if not line:
            raise self.ended()
        return line.decode().rstrip("\r\n")

    def write(self, text):
        self.file.write(text.encode() + b"\n")
        self.file.flush()


class Qmp(Port):
    """QEMU's monitor."""

    def __init__(self, path, process):
        super().__init__(path, process)
        self.read()  # the greeting
        self.execute("qmp_capabilities")

    def execute(self, command, **arguments):
        self.write(json.dumps({"execute": command, "arguments": arguments}))
        while True:
            answer = json.loads(self.read())
            if "event" not in answer:
                check("return" in answer, f"{command} failed: {answer}")
                return answer["return"]


class VM:
    """One boot of a machine, with a port between host and guest (self.host).

    While the guest runs, meanwhile(self) does the host's part.
    """

    latest = None  # for what is printed of a case that fails

    def __init__(self, name, append="", devices=(), script=Script(), files=None, meanwhile=None, **fields):
        self.machine = Machine(name, append, devices, script, files or {}, **fields)
        self.name = name
        self.meanwhile = meanwhile
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"ccvm-{name}-", dir="/var/tmp"))
        self.port = self.directory / "port"
        self.console = LOGS / f"{name}.console"
        self.report = None
        (self.directory / "script").write_text(machine.script(self.machine))
        VM.latest = self

    def command(self):
        return machine.arguments(self.machine, self.directory, self.console)

    def start(self):
        check((self.machine.guest / "vmlinuz").exists(), "there is no guest image: tests/run makes it and sets $CCVM_GUEST")
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            # A case that fails, or is killed, leaves no VM behind.
            ["setpriv", "--pdeathsig=KILL", *self.command()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.host = self.connect()
        if self.meanwhile:
            try:
                self.meanwhile(self)
            except BaseException:
                self.process.kill()
                self.wait()  # for what was said until then
                raise
        return self

    def connect(self):
        # Before the guest can ask: from a port with nobody at its other end it reads nothing, and goes on.
        return Port(self.directory / "host", self.process)

    @property
    def qmp(self):
        if not hasattr(self, "monitor"):
            self.monitor = Qmp(self.directory / "qmp", self.process)
        return self.monitor

    def hear(self, expected):
        """Until the guest has come to that point."""
        check_equal(self.host.read(), expected, "what the guest says")

    def plug(self, number=0):
        """Attaches the disk whose image is scratchN in a slot of its own."""
        self.qmp.execute(
            "device_add",
            driver="virtio-blk-pci",
            drive=f"scratch{number}",
            serial="ccvm-scratch",
            bus=f"slot{number + 1}",
        )

    def throttle(self, device):
        """As many bytes a second as the guest asks for can be written to the device from now on; 0: no limit."""
        limits = dict.fromkeys(("bps", "bps_rd", "iops", "iops_rd", "iops_wr"), 0)
        self.qmp.execute("block_set_io_throttle", id=f"/machine/peripheral/{device}/virtio-backend", bps_wr=int(self.host.read()), **limits)
        self.host.write("go")

    def wait(self):
        """Until the guest has powered off. Returns its report; the VMM's exit status is in self.status."""
        try:
            self.output, _ = self.process.communicate(timeout=TIME_LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()
            raise Failure(f"the guest did not end within {TIME_LIMIT} s; see {self.console}") from None
        self.status = self.process.returncode
        self.seconds = time.monotonic() - self.started
        text = self.port.read_text(errors="replace").rstrip("\0") if self.port.exists() else ""
        (LOGS / f"{self.name}.report").write_text(text)
        self.report = Report(text)
        check_schema(text)
        return self.report

    def wait_for(self, line):
        """Until the guest's script has printed line."""
        self.wait_in(self.port, line, lambda text: line in text.splitlines())

    def wait_for_console(self, text):
        """Until it is on the guest's console."""
        self.wait_in(self.console, text, lambda all_of_it: text in all_of_it)

    def wait_in(self, path, what, is_there):
        while True:
            ended = self.process.poll() is not None
            if path.exists() and is_there(path.read_text(errors="replace")):
                return
            check(not ended, f"the guest ended before it said '{what}'; see {self.console}")
            check(time.monotonic() - self.started < TIME_LIMIT, f"the guest never said '{what}'; see {self.console}")
            time.sleep(0.1)

    def run(self):
        """A whole boot, whose script has to succeed."""
        report = self.start().wait()
        check_equal(self.status, 0, f"exit status of the VMM ({self.output!r})")
        last = report.text.splitlines()[-1:] or ["nothing"]
        check_equal(last[0], "ccvm.test: success 0", f"the last thing that the guest said (see {self.console})")
        return report
