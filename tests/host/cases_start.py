# SPDX-License-Identifier: LGPL-2.1-or-later
"""The wrapper is an exec: start, signals, terminal, exit status are the VMM's, and there is no other process."""

import os
import pty
import re
import shutil
import signal
import statistics
import subprocess
import time

from harness import (
    FAKE_VMM, GIB, NO_TMPFILE, SOURCE, WRAPPER, alive, case, equal, holders, make_file, need, nothing_left, refused, small_disk,
    wait_until,
)

ALL = ("--status-file={}/status", "--require-encrypted", "--lock-memory")


def all_options(place):
    return [option.format(place.path) for option in ALL]


@case("no process is made, before, beside or after the VMM, which is executed in place")
def _(place):
    need("strace")
    trace = place.path / "trace"
    seed = place.path / "seed"
    seed.mkdir()
    for options in ((), (*all_options(place), f"--seed={seed}"), (f"--keep-image={place.path}/kept",)):
        strace = ["strace", "-f", "-qq", "-o", str(trace), "-e", "trace=process,setsid"]
        result = place.run(*options, before=strace)
        equal((result.returncode, result.stderr), (0, ""))
        calls = re.findall(r"^(\d+) +(\w+)\((.*)", trace.read_text(), re.M)
        equal(len({pid for pid, *_ in calls}), 1)
        names = [name for _, name, _ in calls]
        equal([name for name in names if re.search("fork|clone|setsid|wait", name)], [])
        equal(names.count("execve"), 2)
    # And nothing in the program could.
    text = "".join(file.read_text() for file in (SOURCE / "host-wrapper").glob("*.[ch]"))
    equal(re.findall(r"\b(?:v?fork|clone3?|posix_spawnp?|system|popen|daemon|pthread_create)\s*\(", text), [])


@case("the wrapper has at most 1,000 lines, with its headers")
def _(place):
    files = list((SOURCE / "host-wrapper").glob("*.[ch]"))
    lines = sum(len(file.read_text().splitlines()) for file in files)
    print(f"# {lines} lines in {len(files)} files")
    assert lines <= 1000, lines


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


@case("the VMM's exit status comes back")
def _(place):
    for options in ((), all_options(place)):
        for status in (0, 1, 2, 3, 42, 125, 255):
            equal(place.run(*options, todo=f"exit {status}").returncode, status)


@case("125, 126 and 127 as env(1) has them: refused, cannot be run, is not there")
def _(place):
    refused(place.run(size="x"), "--vm-disk-size")
    plain = make_file(place.path / "qemu-kvm", 1)
    for options in ((), all_options(place)):
        refused(place.run(*options, vmm=("/no/such/qemu-kvm",)), "Cannot run '/no/such/qemu-kvm'", status=127)
        refused(place.run(*options, vmm=(str(plain),)), f"Cannot run '{plain}'", status=126)
        refused(place.run(*options, vmm=("qemu-kvm",), PATH="/nothing"), "Cannot run 'qemu-kvm'", status=127)
    refused(place.run(size="0", vmm=("/no/such/qemu-kvm",)), "Cannot run", status=127)
    equal(place.left(), [])


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
        equal(shell_status(place, f"kill {int(n)}", *all_options(place)), 128 + n)
    equal(place.left(), [])


def add_signal_case(n):
    @case(f"{n.name}: it reaches the VMM, whose status comes back; no file, process or descriptor left")
    def _(place):
        for options in ((), all_options(place)):
            place.log.unlink(missing_ok=True)
            process = place.start(*options)
            process.send_signal(n)
            equal(process.wait(10), 40 + n)
            equal(place.facts("signal"), [str(int(n))])
            nothing_left(place, process)


for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    add_signal_case(number)


def in_terminal(place, *options, todo="wait", launcher=()):
    """A session leader in a terminal of its own, as `ssh -t` and a terminal emulator start one. Its PID and the other end."""
    place.log.unlink(missing_ok=True)
    pid, terminal = pty.fork()
    if pid == 0:
        # Who runs the tests by nohup(1) or in the background ignores some, and that is handed on.
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        command = place.command(*options, vmm=(*launcher, FAKE_VMM))
        os.execve(command[0], command, place.environment(todo))
    place.wait_for_vmm()
    return pid, terminal


@case("Ctrl-C in a terminal reaches the VMM once; no file, process or descriptor left")
def _(place):
    for options in ((), all_options(place)):
        pid, terminal = in_terminal(place, *options)
        os.write(terminal, b"\x03")
        equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 40 + signal.SIGINT)
        equal(place.facts("signal"), [str(int(signal.SIGINT))])
        equal((place.left(), holders(place.scratch)), ([], []))
        os.close(terminal)


@case("Ctrl-C reaches a VMM behind timeout, which leaves the shell's process group")
def _(place):
    # The manual's own example. timeout(1) has to be the job's leader, as it is without the wrapper.
    for options in ((), all_options(place)):
        pid, terminal = in_terminal(place, *options, todo="default", launcher=("timeout", "60"))
        vmm = int(place.facts("pid")[0])
        os.write(terminal, b"\x03")
        os.waitpid(pid, 0)
        wait_until(lambda: not alive(vmm), "the VMM to end", 5)
        os.close(terminal)


@case("a VM ends with its terminal")
def _(place):
    for options in ((), all_options(place)):
        pid, terminal = in_terminal(place, *options, todo="default")
        os.close(terminal)
        equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), -signal.SIGHUP)
        wait_until(lambda: not holders(place.scratch), "the VM to end", 5)


@case("SIGSTOP and SIGCONT of the VMM are nobody else's, and Ctrl-Z gives the shell its prompt")
def _(place):
    pid, terminal = in_terminal(place, *all_options(place))
    equal(int(place.facts("pid")[0]), pid)
    os.kill(pid, signal.SIGSTOP)
    equal(os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1]), True)
    os.kill(pid, signal.SIGCONT)
    os.write(terminal, b"\x03")
    equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 40 + signal.SIGINT)
    os.close(terminal)


@case("a script that leaves the VMM in the background holds nobody's pipe")
def _(place):
    script = place.path / "start-vm"
    script.write_text(f'#!/bin/sh\nnohup "{FAKE_VMM}" "$@" </dev/null >/dev/null 2>&1 &\n')
    script.chmod(0o755)
    for options in ((), all_options(place)):
        place.log.unlink(missing_ok=True)
        started = time.monotonic()
        result = place.run(*options, vmm=(str(script),), todo="wait")
        assert time.monotonic() - started < 20
        equal((result.returncode, result.stdout, len(result.stderr.splitlines())), (0, "", 1))
        place.wait_for_vmm()
        os.kill(int(place.facts("pid")[0]), signal.SIGTERM)
        wait_until(lambda: not holders(place.scratch), "the VM to end", 5)


@case("nothing is left for a PID 1 that waits for nobody")
def _(place):
    need("unshare")
    # One of a container that only sleeps, as those of CI services do.
    script = '"$@"; "$@"; cat /proc/[0-9]*/comm; exit 0'
    command = ["unshare", "-pf", "--mount-proc", "sh", "-c", script, "sh", *place.command(*all_options(place))]
    result = subprocess.run(command, env=place.environment(), capture_output=True, text=True, check=False)
    equal((result.returncode, result.stderr, sorted(result.stdout.split())), (0, "", ["sh"]))  # which has listed them before there is a cat


@case("who waits for all children waits for the VMM alone, and strace can be one")
def _(place):
    waiting = ("python3", "-c", "import os\ntry: os.wait()\nexcept ChildProcessError: print('none')")
    equal(place.run(vmm=waiting).stdout, "none\n")
    need("strace")
    equal(place.run(vmm=("strace", "-f", "-qq", "-o", "/dev/null", FAKE_VMM)).returncode, 0)


@case("behind every launcher the VMM has its image, and the launcher its status")
def _(place):
    script = place.path / "script"
    script.write_text('#!/bin/sh\n"$@"\n')
    script.chmod(0o755)
    for launcher in (
        ("timeout", "60"), ("flock", str(place.path / "lock")), ("bwrap", "--dev-bind", "/", "/"), ("unshare", "-pf"),
        ("setsid", "-w"), ("nice",), (str(script),), ("sh", "-c", 'nohup "$@" & wait $!', "sh"),
    ):
        if not shutil.which(launcher[0]):
            print(f"# no {launcher[0]}")
            continue
        place.log.unlink(missing_ok=True)
        result = place.run(*all_options(place), vmm=(*launcher, FAKE_VMM), todo="exit 7")
        equal((launcher, result.returncode), (launcher, 7))
        equal(place.image()[2], GIB)
        equal((place.left(), holders(place.scratch)), ([], []))


@case("SIGKILL: no file, no process, no descriptor left")
def _(place):
    process = place.start(*all_options(place))
    equal(int(place.facts("pid")[0]), process.pid)  # it is in the wrapper's place
    process.kill()
    equal(process.wait(10), -signal.SIGKILL)
    nothing_left(place, process)


@case("SIGKILL of the wrapper at any step before the VMM: no file, no process, no descriptor left")
def _(place):
    need("strace")
    for extra in ({}, {"LD_PRELOAD": NO_TMPFILE}):
        trace = place.path / "trace"
        strace = ["strace", "-qq", "-o", str(trace), "-E", f"LD_PRELOAD={NO_TMPFILE}"] if extra else ["strace", "-qq", "-o", str(trace)]
        equal(place.run(before=strace).returncode, 0)
        # From where the image may be there on, one call after the other.
        calls = re.findall(r"^(\w+)\(", trace.read_text(), re.M)
        calls = calls[: len(calls) - calls[::-1].index("execve")]  # what is behind is the VMM's
        first = next(i for i, line in enumerate(trace.read_text().splitlines()) if "O_TMPFILE" in line or ".ccvm-scratch." in line)
        print(f"# {len(calls) - first} calls")
        place.log.unlink()
        for i in range(first, len(calls)):
            when = calls[: i + 1].count(calls[i]) - (calls[i] == "execve")  # strace's own is not counted
            inject = ["-e", f"inject={calls[i]}:signal=KILL:when={when}"]
            result = place.run(before=[*strace, *inject])
            if extra and place.left():  # between the two calls that make a name and take it away, an empty file
                equal([(place.scratch / name).stat().st_size for name in place.left()], [0])
                (place.scratch / place.left()[0]).unlink()
            equal((calls[i], when, result.returncode, place.facts("pid")), (calls[i], when, -signal.SIGKILL, []))
            equal((place.left(), holders(place.scratch)), ([], []))


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


@case("a disk that fills up: the VMM goes on, and its space comes back")
def _(place):
    with small_disk(place) as mnt:
        result = place.run(f"--scratch-dir={mnt}", todo="fill")
        equal(result.returncode, 28)  # ENOSPC, as the VMM saw it


@case("a word is the VMM's only where it can be: a command without one is warned of, in one line, each time")
def _(place):
    script = place.path / "start-vm"
    script.write_text(f'#!/bin/sh\nexec "{FAKE_VMM}" "$@"\n')
    script.chmod(0o755)
    for vmm, status, warned in (
        ((FAKE_VMM,), 0, False),
        (("env", FAKE_VMM), 0, False),
        ((str(script),), 0, True),
        ((str(script), "-accel", "kvm"), 0, True),
        ((str(script), "-name", "qemu"), 0, True),
        (("sh", "-c", f"exec '{FAKE_VMM}'"), 0, True),  # which drops all that is added
    ):
        for _ in range(2):
            result = place.run(vmm=vmm)
            equal((vmm, result.returncode, len(result.stderr.splitlines())), (vmm, status, warned))
            assert not warned or f"'{vmm[0]}' has to hand all arguments" in result.stderr, result.stderr
    for name in ("qemu", "kvm", "qemu-kvm", "qemu-system-x86_64-microvm"):
        program = place.path / name
        program.symlink_to(os.path.realpath(FAKE_VMM))
        equal(place.run(vmm=(str(program),)).stderr, "")


@case("--dry-run prints what is then run, so that a shell takes it back, and leaves nothing")
def _(place):
    need("bash")
    seed = place.path / "seed"
    seed.mkdir()
    vmm = (FAKE_VMM, "-append", "a 'b' \"c\"\n$HOME `x` \\ *", "-M", "q35", "", "*", "-name", "ü")
    for options in ((), ("--lock-memory",), (f"--status-file={place.status}", "--require-encrypted"), (f"--keep-image={place.path}/kept",)):
        place.log.unlink(missing_ok=True)
        before = sorted(place.path.rglob("*"))
        dry = place.run("--dry-run", f"--seed={seed}", *options, vmm=vmm)
        equal((dry.returncode, dry.stderr, place.facts("pid")), (0, "", []))
        equal(sorted(place.path.rglob("*")), before)
        words = subprocess.run(["bash", "-c", f"printf '%s\\0' {dry.stdout}"], capture_output=True, text=True, check=True).stdout.split("\0")[:-1]
        equal(place.run(*options, vmm=vmm).returncode, 0)
        equal(words[: len(vmm)], list(vmm))
        equal([word.split("\n")[0] for word in words], place.facts("arg"))  # whose log has the first line of each
        (place.path / "kept").unlink(missing_ok=True)
        (seed / "vm-disk").unlink(missing_ok=True)
    place.status.write_text("of a VM that runs")
    equal(place.run("--dry-run", f"--status-file={place.status}").returncode, 0)
    equal(place.status.read_text(), "of a VM that runs")
    env = place.environment()
    result = subprocess.run([WRAPPER, "--vm-disk-size=1", "--dry-run", "qemu-kvm"], env=env, check=False, capture_output=True)
    equal(result.returncode, 0)
    assert not (place.path / ".cache").exists()


@case("--dry-run refuses what a start refuses")
def _(place):
    for option, words in (
        (f"--status-file={place.path}/missing/status", "missing/status"),
        (f"--seed={place.path}/missing", "missing/vm-disk"),
        (f"--scratch-dir={place.path}/missing/missing", "missing/missing"),
        ("--vm-disk-size=8388607T", "8388607"),
    ):
        for dry in ((), ("--dry-run",)):
            result = place.run(*dry, option)
            equal((result.returncode, result.stdout), (125, ""))
            assert words in result.stderr or "8388607" in words, result.stderr


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
    # tests/bench/start measures it, on a machine with nothing else to do, which one that runs tests is not.
    assert min(times[1]) - min(times[0]) < 50, times
