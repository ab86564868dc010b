# SPDX-License-Identifier: LGPL-2.1-or-later
"""ccvm-scratch-run and a guest: what each hears of the other."""

import json
import os
import pathlib

from cases import CANARY, LUKS, MIB, WRITE_CANARY, check_encrypted, check_outcome, count, directory
from fault import before_root, program
from machine import EROFS, Root, erofs_words
from registry import case
from script import Script
from vm import VM, check, check_equal, last_release


def wrapped(name, append, script=Script(), options=(), command=os.environ.get("CCVM_RUN"), **fields):
    """A boot by ccvm-scratch-run with a disk of 512 MiB, and the file into which QEMU writes what the guest reports."""
    where = directory()
    status_file = where.with_name(f"{where.name}.status")
    run = [command, "--vm-disk-size=512M", f"--scratch-dir={where}", f"--status-file={status_file}"]
    return VM(name, append, script=script, wrapper=[*run, *options, "--"], **fields), where, status_file


def check_told(vm, status_file, *lines):
    """What the guest has reported of one boot, and that nobody else has said anything."""
    check_equal([vm.status, vm.output], [0, b""], "exit status and output of QEMU")
    check_equal(status_file.read_text().splitlines(), list(lines), "the status file")


def check_console(vm, *words):
    """The line of a fallback, for who has started the VM in a terminal."""
    lines = [line for line in vm.console.read_text(errors="replace").splitlines() if "ccvm-scratch: no encrypted scratch disk" in line]
    check_equal(len(lines), 1, f"lines on the console ({lines})")
    check(all(word in lines[0] for word in words), f"{words} on the console: {lines[0]}")


# The disk is there, and the guest looks for another.
NOT_FOUND = "ccvm.serial=elsewhere ccvm.device_timeout=2"


@case(quick=True)
def told_fallback():
    """The host hears that the guest is in RAM, and why."""
    vm, _, status_file = wrapped("told-fallback", NOT_FOUND)
    report = vm.run()
    check_outcome(report, "tmpfs", "device-timeout", [LUKS])
    check_told(vm, status_file, "tmpfs device-timeout")
    check_console(vm, "device-timeout", "using RAM instead")


@case
def require_encrypted():
    """With --require-encrypted such a guest powers off."""
    vm, where, status_file = wrapped("require-encrypted", NOT_FOUND, options=["--require-encrypted"])
    report = vm.start().wait()
    check_equal(report.text, "", "what a guest said that should not have come so far")
    check_told(vm, status_file, "none device-timeout")
    check_console(vm, "device-timeout", "powering off")
    check_equal(list(where.iterdir()), [], "names in the scratch directory")


@case
def fallback_fail():
    """For those who must not run without: the VM goes off, and the console and the host have the reason."""
    vm, _, status_file = wrapped("fallback-fail", f"{NOT_FOUND} ccvm.fallback=fail")
    report = vm.start().wait()
    check_equal(report.text, "", "what a guest said that should not have come so far")
    check_told(vm, status_file, "none device-timeout")
    check_console(vm, "device-timeout", "powering off")


# The command's disks are where Linux numbers them last: in a high slot, behind a port, and on a second root bus. That
# is at the end: what names no bus is from there on not on the first one.
def root_behind_a_port(machine):
    *image, device, root = erofs_words(machine)
    port = ["-device", "pcie-root-port,id=slot1,chassis=1"]
    last = ["-blockdev", "null-co,node-name=last", "-device", "virtio-blk-pci,drive=last,addr=0x1d"]
    return [*image, *port, device, f"{root},bus=slot1", *last]


SECOND_BUS = [
    "-device", "pxb-pcie,id=second,bus=pcie.0,bus_nr=128",
    "-device", "pcie-root-port,id=slot2,bus=second,chassis=2",
    "-blockdev", "null-co,node-name=second",
    "-device", "virtio-blk-pci,drive=second,bus=slot2",
]  # fmt: skip

# Until the host has looked at the image.
WRAPPER_SCRIPT = WRITE_CANARY + Script((None, "ask ready"))


@case(seconds=18)
def wrapper():
    """ccvm-scratch-run from end to end; the image has no name, and no plaintext in it, and comes after all other disks."""
    root = Root(EROFS.options, root_behind_a_port)
    options = ["--require-encrypted"]
    vm, where, status_file = wrapped("wrapper", "ccvm.nix=overlay", WRAPPER_SCRIPT, options, root=root, last=SECOND_BUS)
    vm.start().hear("ready")

    images = find_open_images(vm.process.pid, where)
    check_equal(len(images), 1, "images that the VMM has open")
    check_equal(list(where.iterdir()), [], "names in the scratch directory")
    with open(images[0], "rb") as image:
        status = os.fstat(image.fileno())
        check_equal([status.st_size, status.st_nlink, status.st_mode & 0o777], [512 * MIB, 0, 0o600], "the image")
        vm.host.write("go")
        report = vm.wait()
        check_encrypted(report, 512 * MIB)
        check_equal(report.status["device"], "/dev/vdd", "the disk, the last of four")
        check_told(vm, status_file, "encrypted")
        check(int(report.line("on-mapping")) > 100000, "the canary is not on the mapping")
        allocated = os.fstat(image.fileno()).st_blocks * 512
        check(4 * MIB < allocated < 64 * MIB, f"{allocated} bytes are allocated on the host")
        check_equal(count(f"/proc/self/fd/{image.fileno()}", CANARY[:15]), 0, "canaries in the image")
    check_equal(list(where.iterdir()), [], "names in the scratch directory afterwards")


def find_open_images(pid, where):
    """The paths under /proc by which files deleted in where are open in the process or its children."""
    found = {}
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(process.name)) != pid:
                continue
            for fd in (process / "fd").iterdir():
                if os.readlink(fd).startswith(f"{where}/"):
                    found[os.stat(fd).st_ino] = fd
        except OSError:
            continue  # gone meanwhile
    return list(found.values())


@case(seconds=25)
def last_release_host():
    """The wrapper of the last release, which hears of this guest what it has to; what needs no VM is in tests/compatibility."""
    last = last_release() / "usr/bin/ccvm-scratch-run"
    vm, _, status_file = wrapped("last-release-host", "", options=["--require-encrypted"], command=last)
    check_encrypted(vm.run(), 512 * MIB)
    check_equal([json.loads(status_file.read_text())[key] for key in ("state", "reason", "boots")], ["encrypted", None, 1], "the status file")


# As its status is not what today's schema has.
LAST_SCRIPT = Script(
    ("version", "ccvm-scratch --version"),
    ("is-encrypted", "ccvm-scratch is-encrypted /scratch; echo $?"),
    ("failed", "systemctl list-units --failed --plain --no-legend"),
)


def guest_of(last):
    """Files by which initrd and system are the last release's: its programs and units, where this guest has its own."""
    programs = ("bin/ccvm-scratch", "lib/ccvm-scratch/ccvm-scratch-setup", "lib/systemd/system-generators/ccvm-scratch-generator")
    files = program(*(f"{last}/usr/{path}" for path in programs), "/usr/bin/cp")
    files = {name.removeprefix(str(last)): content for name, content in files.items()}
    own = [name for name in files if "ccvm" in name]
    for unit in (last / "usr/lib/systemd/system").iterdir():
        own.append(f"/usr/lib/systemd/system/{unit.name}")
        files[own[-1]] = unit.read_bytes()
    return files | before_root(f"/usr/bin/cp --parents --target-directory=/sysroot {' '.join(own)}")


@case(seconds=20)
def last_release_guest():
    """A guest of the last release, which this wrapper gives its disk and of which it has the report."""
    last = last_release()
    files = guest_of(last)
    vm, _, status_file = wrapped("last-release-guest", "", LAST_SCRIPT.text(), ["--require-encrypted"], files=files)
    report = vm.run()
    check_told(vm, status_file, "encrypted")
    check_equal(report.line("version"), f"ccvm-scratch {last.parent.name.removeprefix('last-release-')}", "version")
    check_equal(report.line("is-encrypted"), "0", "exit status of is-encrypted")
    check_equal(report.lines("failed"), [], "failed units")
