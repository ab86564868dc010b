# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the guest reports, in the file that QEMU writes, and what the guest is told to do."""

import os
import subprocess
import threading

from harness import FAKE_VMM, PLAIN, Qemu, case, equal, holders, need, refused, wait_until

ENCRYPTED = "encrypted\n"


def last_line(file):
    return file.read_text().splitlines()[-1:]


@case("--status-file: the guest's lines, the last of which is what is so")
def _(place):
    option = f"--status-file={place.status}"
    equal(place.run(option, report=ENCRYPTED).returncode, 0)
    equal(place.status.read_text(), ENCRYPTED)
    equal(place.run(option, report="encrypted\nnone wiped\n", todo="kill 9").returncode, -9)
    equal(last_line(place.status), ["none wiped"])
    os.umask(0o077)
    try:
        place.status.unlink()
        equal(place.run(option, report=ENCRYPTED).returncode, 0)
        equal(place.status.stat().st_mode & 0o777, 0o600)
    finally:
        os.umask(0o022)


@case("without --status-file there is no port, and none of its devices")
def _(place):
    equal(place.run().returncode, 0)
    text = "\n".join(place.facts("arg"))
    for word in ("ccvm.status", "virtio-serial", "chardev", "63771"):
        assert word not in text, text
    equal(len(place.inherited()), 2)  # the image, and its directory


@case("--status-file is never an earlier VM's: also with size 0, and when the start is refused")
def _(place):
    option = f"--status-file={place.status}"
    for options, size, status in (
        ((option,), "1", 0),
        ((option,), "0", 0),
        ((option,), "x", 125),
        ((option, "--scratch-dir=/dev/shm/missing/missing"), "1", 125),
        ((option, "--require-encrypted"), "0", 125),
        ((option, "--no-such-option"), "1", 125),
        (("--no-such-option", option), "1", 125),
        (("--vmm=qemu", option), "1", 125),
        (("--lock-memory=x", option), "1", 125),
        ((option, f"--seed={place.path}/missing"), "1", 125),
        ((option, f"--keep-image={place.path}"), "1", 125),
    ):
        place.status.write_text(ENCRYPTED)
        result = place.run(*options, size=size)
        equal((options, result.returncode, place.status.read_text()), (options, status, ""))
    place.status.write_text(ENCRYPTED)
    equal(place.run(option, vmm=("/no/such/qemu-kvm",)).returncode, 127)
    equal(place.status.read_text(), "")
    result = place.run(option, CCVM_MLOCK="x")
    equal((result.returncode, place.status.read_text()), (125, ""))


@case("--status-file that cannot be written is refused before anything else")
def _(place):
    for file in (f"{place.path}/missing/status", str(place.scratch)):
        refused(place.run(f"--status-file={file}"), f"'{file}'")
    equal(place.facts("pid"), [])


@case("--status-file can be a FIFO, which bounds what a guest can write, and the caller's own output")
def _(place):
    fifo, heard = place.path / "fifo", []
    os.mkfifo(fifo)
    thread = threading.Thread(target=lambda: heard.append(fifo.read_text()))
    thread.start()
    equal(place.run(f"--status-file={fifo}", report=ENCRYPTED).returncode, 0)
    thread.join(10)
    equal(heard, [ENCRYPTED])
    equal(place.run("--status-file=/dev/stdout", report=ENCRYPTED).stdout, ENCRYPTED)
    # A dry run waits for no reader.
    equal(place.run(f"--status-file={fifo}", "--dry-run").returncode, 0)


@case("what CI does with both options: the VMM's own status, and the last line")
def _(place):
    script = '"$@" && [ "$(tail -n1 "$STATUS")" = encrypted ]'
    for report, todo, status in (
        (ENCRYPTED, "exit 0", 0),
        (f"{ENCRYPTED}none wiped\n", "exit 0", 1),
        ("tmpfs device-timeout\n", "exit 0", 1),
        ("none device-timeout\n", "exit 0", 1),
        ("", "exit 0", 1),
        (ENCRYPTED, "exit 5", 5),
    ):
        command = place.command("--require-encrypted", f"--status-file={place.status}")
        env = place.environment(todo, report, STATUS=str(place.status))
        equal((report, subprocess.run(["sh", "-c", script, "sh", *command], env=env, check=False).returncode), (report, status))


@case("--require-encrypted tells the guest by all ways that it has, and is refused where there is none")
def _(place):
    credential = "type=11,value=io.systemd.credential:ccvm.fallback=fail"
    for vmm, words in (
        ((FAKE_VMM, "-append", "a"), ("ccvm.vm_disk=1 ccvm.fallback=fail a", credential)),
        ((FAKE_VMM,), (credential,)),
        ((FAKE_VMM, "-M", "microvm"), ("name=opt/io.systemd.credentials/ccvm.fallback,string=fail",)),
    ):
        place.log.unlink(missing_ok=True)
        equal(place.run("--require-encrypted", vmm=vmm).stderr, "")
        equal([word for word in words if word not in place.facts("arg")], [])
    refused(place.run("--require-encrypted", size="0"), "--require-encrypted", "--vm-disk-size=N")
    refused(place.run("--require-encrypted", vmm=("qemu-system-riscv64", "-M", "virt")), "Nothing tells the guest", "Fallback=fail")
    equal(place.left(), [])


@case("QEMU has the status file open and writes to it, sandboxed, also to a FIFO, and as a daemon")
def _(place):
    need("qemu-system-x86_64")
    for path in (place.status, place.path / "fifo"):
        if path.name == "fifo":
            os.mkfifo(path)
            reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        qemu = Qemu(place, PLAIN, f"--status-file={path}")
        [port] = [c for c in qemu.execute("query-chardev") if c["label"] == "ccvm-scratch-report"]
        equal(port["filename"], "file")
        assert [link for link in holders(path) if link.startswith(f"/proc/{qemu.process.pid}/")], path
        equal(qemu.end(), (0, "", ""))
    equal(os.read(reader, 1), b"")
    os.close(reader)
    pidfile = place.path / "pid"
    vmm = (*PLAIN, "-S", "-display", "none", "-daemonize", "-pidfile", str(pidfile))
    result = place.run(f"--status-file={place.status}", vmm=vmm)
    equal((result.returncode, result.stdout, result.stderr), (0, "", ""))
    pid = int(pidfile.read_text())
    assert [link for link in holders(place.status) if link.startswith(f"/proc/{pid}/")]
    os.kill(pid, 15)
    wait_until(lambda: not holders(place.scratch), "the VM to end")
