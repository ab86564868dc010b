# SPDX-License-Identifier: LGPL-2.1-or-later
"""QEMU itself with what the wrapper gives it; no guest is booted."""

import re
import signal
import subprocess

from harness import PLAIN, Qemu, case, equal, fill, holders, need, refused, small_disk, warnings


def has_genid(qemu):
    return "ccvm-scratch-generation" in [entry["name"] for entry in qemu.execute("qom-list", path="/machine/peripheral")]


def check_machine(place, program, machine, disk="virtio-blk-pci", serial="virtio-serial-pci"):
    """The disk and the port as they are to be, under a sandbox."""
    qemu = Qemu(place, (program, "-M", machine, "-nodefaults"), "--vm-disk-size=1", f"--status-file={place.status}")
    text = qemu.ask("info block") + qemu.ask("info iothreads") + qemu.ask("info qtree")
    equal("ccvm-scratch-io:" in text, not machine.startswith("microvm"))
    for words in (
        "writeback, ignore flushes",
        f"dev: {disk}, id",
        'serial = "ccvm-scratch"',
        "logical_block_size = 4096 (4 KiB)",
        'rerror = "report"',
        'werror = "report"',
        f"dev: {serial}, id",
        'name = "ccvm.status"',
    ):
        assert words in text, f"no {words!r} in {text}"
    equal(has_genid(qemu), program == "qemu-system-x86_64" and not machine.startswith("microvm"))
    [report] = [c for c in qemu.execute("query-chardev") if c["label"] == "ccvm-scratch-report"]
    equal(report["filename"], "file")
    status, _, stderr = qemu.end()
    equal((status, place.left()), (0, []))
    return stderr


@case("QEMU takes it: q35, sandboxed")
def _(place):
    equal(check_machine(place, "qemu-system-x86_64", "q35,accel=tcg"), "")


@case("QEMU takes it: pc, sandboxed")
def _(place):
    equal(check_machine(place, "qemu-system-x86_64", "pc,accel=tcg"), "")


@case("QEMU takes it: microvm, sandboxed")
def _(place):
    equal(check_machine(place, "qemu-system-x86_64", "microvm,accel=tcg", "virtio-blk-device", "virtio-serial-device"), "")


@case("QEMU takes it: virt on aarch64, sandboxed; started, not booted")
def _(place):
    equal(check_machine(place, "qemu-system-aarch64", "virt,accel=tcg"), "")


@case("QEMU for a machine without SMBIOS and fw_cfg starts with its disk, and a warning that nothing tells the guest")
def _(place):
    for program, machine, disk, serial in (
        ("qemu-system-s390x", "s390-ccw-virtio", "virtio-blk-ccw", "virtio-serial-ccw"),
        ("qemu-system-ppc64", "pseries,cap-cfpc=broken,cap-ibs=broken,cap-ccf-assist=off", "virtio-blk-pci", "virtio-serial-pci"),
        ("qemu-system-riscv64", "virt", "virtio-blk-pci", "virtio-serial-pci"),
    ):
        need(program)
        stderr = check_machine(place, program, machine, disk, serial)
        assert "Nothing tells the guest" in stderr and len(warnings(stderr)) == 1, stderr
        refused(place.run("--require-encrypted", vmm=(program, "-M", machine)), "Nothing tells the guest", "Fallback=fail")


@case("QEMU takes it on each machine type of x86 that it has, old and new, and where there can be one with a vmgenid")
def _(place):
    need("qemu-system-x86_64")
    listed = subprocess.run(["qemu-system-x86_64", "-M", "help"], capture_output=True, text=True, check=True).stdout
    types = [line.split()[0] for line in listed.splitlines()[1:] if line.split()[0].startswith(("pc-", "pc ", "q35"))]
    assert len(types) > 10, listed
    without = []
    for machine in types:
        qemu = Qemu(place, ("qemu-system-x86_64", "-M", f"{machine},accel=tcg", "-m", "64", "-nodefaults"), f"--status-file={place.status}")
        if not has_genid(qemu):
            without.append(machine)
        status, _, stderr = qemu.end()
        equal((machine, status, warnings(stderr)), (machine, 0, []))
    print(f"# {len(types)} machine types, without a vmgenid {without}")
    equal([machine for machine in without if not re.fullmatch(r"pc-(i440fx|q35)-(1\..*|2\.[0-4])", machine)], [])


@case("old virtio, a root port of the same chassis and a generation ID of the user's do not keep QEMU from starting")
def _(place):
    for more in (
        ("-global", "virtio-blk-pci.disable-modern=on"),
        ("-global", "virtio-blk-pci.disable-legacy=on"),
        ("-device", "pcie-root-port,id=u,chassis=251"),
        ("-device", "vmgenid,guid=324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87"),
        ("-smbios", "type=11,value=io.systemd.credential:ccvm.vm-disk=hotplug"),
        ("-smbios", "type=11,value=mine", "-smbios", "type=1,manufacturer=me"),
        ("-object", "memory-backend-memfd,id=m,size=64M", "-numa", "node,memdev=m"),
        ("-snapshot",), ("-preconfig",), ("-only-migratable",), ("-no-user-config",), ("-machine", "acpi=off"),
    ):
        qemu = Qemu(place, (*PLAIN, *more), f"--status-file={place.status}", "--require-encrypted")
        status, _, stderr = qemu.end()
        equal((more, status, warnings(stderr)), (more, 0, []))
    for name in ("ccvm.vm-disk", "ccvm.fallback"):
        credential = ("-fw_cfg", f"name=opt/io.systemd.credentials/{name},string=x")
        qemu = Qemu(place, ("qemu-system-x86_64", "-M", "microvm,accel=tcg", "-nodefaults", *credential), "--require-encrypted")
        equal((name, *qemu.end()), (name, 0, "", ""))


@case("a script of which nothing is known starts its machine, whatever that has")
def _(place):
    need("qemu-system-x86_64")
    script = place.path / "start-vm"
    for machine, more in (("q35", ""), ("pc", ""), ("q35", "-device vmgenid"), ("pc", "-device vmgenid"), ("pc-i440fx-2.4", "")):
        script.write_text(f'#!/bin/sh\nexec qemu-system-x86_64 -M {machine},accel=tcg -nodefaults {more} "$@"\n')
        script.chmod(0o755)
        qemu = Qemu(place, (str(script),), f"--status-file={place.status}", "--require-encrypted")
        status, _, stderr = qemu.end()
        equal((machine, more, status, len(warnings(stderr))), (machine, more, 0, 1))
        assert "has to hand all arguments" in stderr, stderr


@case("QEMU writes to the image, and a discard gives the blocks back")
def _(place):
    qemu = Qemu(place, (*PLAIN, "-smp", "2"))
    print(f"# QEMU {qemu.execute('query-version')['package']}")
    assert qemu.image().st_blocks * 512 <= 64 * 1024, qemu.image()
    disk = "/machine/peripheral/ccvm-scratch-disk/virtio-backend"
    equal(qemu.execute("qom-get", path=disk, property="iothread"), "/objects/ccvm-scratch-io")
    equal(qemu.execute("qom-get", path=disk, property="num-queues"), 2)  # QEMU's own default, the guest's CPUs
    qemu.io("write -P 0xa5 4M 16M")
    assert qemu.image().st_blocks * 512 >= 16 << 20, qemu.image()
    qemu.io("discard 4M 16M")
    assert qemu.image().st_blocks * 512 <= 64 * 1024, qemu.image()
    status, text, _ = qemu.end()
    equal(status, 0)
    for words in ("wrote 16777216/16777216", "discard 16777216/16777216"):
        assert words in text, text


@case("QEMU on a disk that is full: an I/O error for the guest, the VM goes on, and the space comes back")
def _(place):
    with small_disk(place) as mnt:
        qemu = Qemu(place, PLAIN, "--vm-disk-size=96M", scratch=mnt)
        filler = fill(mnt / "filler")
        qemu.io("write 0 32M")
        equal(qemu.execute("query-status")["status"], "prelaunch")
        text = qemu.ask("info qtree")
        assert 'rerror = "report"' in text and 'werror = "report"' in text, text
        filler.unlink()
        status, text, _ = qemu.end()
        equal(status, 0)
        assert "No space left" in text, text


@case("QEMU ends by SIGTERM, SIGHUP, SIGINT, SIGKILL, and nothing is left")
def _(place):
    for how, status in ((signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGINT, 0), (signal.SIGKILL, -9)):
        qemu = Qemu(place, PLAIN, f"--status-file={place.status}", "--require-encrypted")
        equal((how, *qemu.end(how)), (how, status, "", ""))
        equal((place.left(), holders(place.scratch)), ([], []))


@case("QEMU saves its state, and another goes on from it, each behind the wrapper")
def _(place):
    state = place.path / "state"
    qemu = Qemu(place, PLAIN, f"--status-file={place.status}")
    qemu.execute("migrate", uri=f"file:{state}")
    while (how := qemu.execute("query-migrate").get("status")) in (None, "setup", "active", "device", "completing"):
        pass
    equal(how, "completed")
    equal(qemu.end(), (0, "", ""))
    other = Qemu(place, (*PLAIN, "-incoming", f"file:{state}"), f"--status-file={place.status}")
    while other.execute("query-status")["status"] == "inmigrate":
        pass
    assert other.execute("query-status")["status"] in ("paused", "prelaunch", "postmigrate"), other.execute("query-status")
    equal(other.end(), (0, "", ""))
