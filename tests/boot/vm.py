# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that boots, runs a script from the host, and is asked how it went.

The verdict comes through a virtio-serial port, never from the console: the script goes in as the system credential
ccvm.test, and ccvm-report.service of the reference guest sends back what it prints. The script here prints sections,
each headed by "== name", and ends in the unit's own line, so that a guest that dies in between is told from one that
is done.
"""

import base64
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

import jsonschema

GUEST = pathlib.Path(os.environ.get("CCVM_GUEST", "/nonexistent"))
BUILD = pathlib.Path(__file__).parent.parent / "guest/build"
SCHEMA = json.loads((pathlib.Path(__file__).parents[2] / "status/status.schema.json").read_text())
LOGS = pathlib.Path(os.environ.get("CCVM_BOOT_LOGS", tempfile.gettempdir()))

SETUP_UNIT = "ccvm-scratch-luks.service"

# Seconds of wall clock: an emulated boot takes half a minute when it has a core for itself.
TIME_LIMIT = 300

# By one open file for both ways: what comes for a port that is just being closed is lost.
ASK = r"""
ask() { exec 3<>/dev/virtio-ports/ccvm.host; echo "$1" >&3; read -r answer <&3; exec 3>&-; }
"""

REPORT = ASK + r"""
section() { echo "== $1"; }
section status-json; cat /run/ccvm-scratch/status.json
section status-now; ccvm-scratch status --json=short
section status-exit; ccvm-scratch status >/dev/null; echo $?
section status-text; ccvm-scratch status
section failed; systemctl list-units --failed --plain --no-legend | cut -d' ' -f1
section running; systemctl is-system-running
section mounts; findmnt --json --output TARGET,SOURCE,FSTYPE,OPTIONS --list
section mappings; dmsetup ls
# The key of dm-integrity's hash is in its table.
section table; dmsetup table | sed -E 's/(internal_hash:[^: ]*):[0-9a-f]+/\1:KEY/'
section generated; cd /run/systemd/generator && find . -name '*ccvm*' -o -name '*scratch*' -o -name '*nix*'; cd /
section messages; journalctl -b -o json --no-pager MESSAGE_ID=7c625ba00f4c42c6bfddbedeaf1ba685 \
    + MESSAGE_ID=0b1a94c4546b462693583107a7ba0724 + MESSAGE_ID=a1b9127a7cab4dcbb72cafc329de128c \
    + MESSAGE_ID=69396b351533487fbc7bc9a5e5c0c9e4
section log; journalctl -b -o short-monotonic --no-pager -u 'ccvm-scratch*' -u '*scratch.mount' -u '*nix*'
section cmdline; cat /proc/cmdline
"""


class Failure(Exception):
    """The outcome is not what the case demands."""


def check(condition, what):
    if not condition:
        raise Failure(what)


def check_equal(actual, expected, what):
    check(actual == expected, f"{what}: expected {expected!r}, got {actual!r}")


def check_missing(report, paths):
    """Of the pool's mount points; then it is told, and status is degraded."""
    check_equal(json.loads("\n".join(report.lines("status-now")))["missing"], list(paths), "missing mounts")
    check_equal(report.line("status-exit") == "3", bool(paths) or report.status["state"] in ("tmpfs", "none"), "exit 3")


def build_guest(profile):
    """Another guest than the reference guest: made once, whoever asks first."""
    build = subprocess.run([BUILD, f"--profile={profile}"], stdout=subprocess.PIPE, text=True)
    check_equal(build.returncode, 0, f"exit status of tests/guest/build --profile={profile}")
    return pathlib.Path(build.stdout.strip())


def check_schema(text):
    """Each status that is in a report, on a line of its own, is as the schema has it."""
    for line in text.splitlines():
        if line.startswith('{"state":'):
            try:
                jsonschema.validate(json.loads(line), SCHEMA)
            except jsonschema.ValidationError as error:
                raise Failure(f"a status that is not as in the schema: {error.message} ({line})") from None


class Image:
    """A disk image; sparse, and made anew unless it is there."""

    def __init__(self, path, size):
        self.path = pathlib.Path(path)
        if not self.path.exists():
            with open(self.path, "wb") as f:
                f.truncate(size)

    def allocated(self):
        """Bytes that it takes on the host's disk."""
        return self.path.stat().st_blocks * 512

    def is_zero(self):
        with open(self.path, "rb") as f:
            return not any(any(block) for block in iter(lambda: f.read(1 << 20), b""))

    def device(self, number=0, serial="ccvm-scratch", read_only=False, driver="virtio-blk-pci"):
        """QEMU arguments that attach it."""
        node = f"scratch{number}"
        return [
            "-blockdev",
            f"driver=raw,node-name={node},discard=unmap,read-only={'on' if read_only else 'off'},"
            f"file.driver=file,file.filename={self.path},file.locking=off",
            "-device",
            f"{driver},drive={node},serial={serial}",
        ]


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
        return json.loads("\n".join(self.lines("status-json")))

    @property
    def failed(self):
        return set(self.lines("failed"))

    @property
    def messages(self):
        return [json.loads(line) for line in self.lines("messages") if line.startswith("{")]

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


class VM:
    """One boot, with a port between host and guest (self.host).

    With wrapper, a list of ccvm-scratch-run and its options, that starts QEMU.
    """

    def __init__(self, name, append="", devices=(), script="", wrapper=(), fw_cfg=(), time_limit=90, guest=GUEST):
        self.name = name
        self.guest = guest
        self.initrd = guest / "initrd"
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"ccvm-{name}-", dir="/var/tmp"))
        self.append = append
        self.devices = list(devices)
        self.wrapper = list(wrapper)
        self.port = self.directory / "port"
        self.console = LOGS / f"{name}.console"
        self.fw_cfg = list(fw_cfg)
        (self.directory / "script").write_text(REPORT + script)
        self.patience = base64.b64encode(f"[Service]\nTimeoutStartSec={time_limit}\n".encode()).decode()

    root_options = "root=PARTLABEL=ccvm-root rootfstype=erofs systemd.volatile=overlay"

    def root_devices(self):
        image = f"driver=raw,node-name=root,read-only=on,file.driver=file,file.filename={self.guest}/root.raw"
        return ["-blockdev", image, "-device", "virtio-blk-pci,drive=root,serial=ccvm-root"]

    def command_line(self):
        return (
            f"{self.root_options} console=ttyS0 quiet panic=-1 "
            # A third less work for an emulated CPU; and no waiting for a console that answers.
            "mitigations=off TERM=dumb "
            # Guest time passes with the host's clock, and a busy host must not look like a missing disk.
            f"ccvm.device_timeout=120 {self.append}"
        ).strip()

    def command(self):
        return self.wrapper + [
            "qemu-system-x86_64",
            "-machine", "q35",
            "-accel", "tcg",
            "-cpu", "max,la57=off",
            "-smp", "1",
            "-m", "1024",
            "-nodefaults",
            "-nographic",
            "-no-reboot",
            "-serial", f"file:{self.console}",
            "-kernel", str(self.guest / "vmlinuz"),
            "-initrd", str(self.initrd),
            "-append", self.command_line(),
            *self.root_devices(),
            "-device", "virtio-serial-pci",
            "-chardev", f"file,id=port,path={self.port}",
            "-device", "virtserialport,chardev=port,name=ccvm.test",
            "-chardev", f"socket,id=host,path={self.directory}/host,server=on,wait=off",
            "-device", "virtserialport,chardev=host,name=ccvm.host",
            "-fw_cfg", f"name=opt/io.systemd.credentials/ccvm.test,file={self.directory}/script",
            # As for the wait for the disk; and a test of the bound itself sets a low one.
            "-smbios",
            f"type=11,value=io.systemd.credential.binary:systemd.unit-dropin.{SETUP_UNIT}~patience={self.patience}",
        ] + [word for entry in self.fw_cfg for word in ("-fw_cfg", entry)] + self.devices

    def start(self):
        check((self.guest / "vmlinuz").exists(), "there is no guest image: tests/run makes it and sets $CCVM_GUEST")
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.host = self.connect()
        return self

    def connect(self):
        # Before the guest can ask: from a port with nobody at its other end it reads nothing, and goes on.
        return Port(self.directory / "host", self.process)

    def hear(self, expected):
        """Until the guest has come to that point."""
        check_equal(self.host.read(), expected, "what the guest says")

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
        check_schema(text)
        return Report(text)

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
