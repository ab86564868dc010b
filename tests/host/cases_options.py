# SPDX-License-Identifier: LGPL-2.1-or-later
"""Options, and what help, manual and completions say of them."""

import os
import pty
import re
import signal
import subprocess

from harness import FAKE_VMM, GIB, SOURCE, WRAPPER, case, equal, need, refused, wait_until

MANUAL = (SOURCE / "man/ccvm-scratch-run.1.scd").read_text()


@case("usage errors are one line and status 125")
def _(place):
    for size in ("-1", "0x10", "1.5", "20GB", "20GiBs", "99999999T", "31M", "512K", "512k", ""):
        refused(place.run(size=size), "--vm-disk-size", f"'{size}'", "20", "512M", "1T")
    refused(place.run(CCVM_MLOCK="maybe"), "CCVM_MLOCK", "'maybe'")
    refused(place.run("--lock-memory=maybe"), "--lock-memory", "'maybe'")
    refused(place.run("--seed="), "--seed")
    result = subprocess.run([WRAPPER, "--vm-disk-size=1"], capture_output=True, text=True, check=False)
    refused(result, "no command")
    for option in ("--no-such-option", "-x", "--dry-run=yes"):
        result = place.run(option)
        error, hint = result.stderr.splitlines()
        equal((result.returncode, result.stdout), (125, ""))
        assert error.startswith("ccvm-scratch-run: "), error
        equal(hint, "Try 'ccvm-scratch-run --help' for more information.")
    equal((place.facts("pid"), place.left()), ([], []))


@case("options that went are refused in one line that says what to do")
def _(place):
    for option, words in (
        ("--vmm=qemu", ("--vmm='qemu'", "is gone", "examples/")),
        ("--marker=append", ("--marker", "is gone", "-append")),
        ("--marker", ("--marker", "is gone")),
        ("--print-args", ("--print-args", "is gone", "--dry-run")),
        ("--image-fd=9", ("--image-fd", "is gone", "--keep-image")),
        ("--report-timeout=60", ("--report-timeout", "is gone", "timeout(1)")),
    ):
        refused(place.run(option), *words)
        assert option.split("=")[0] in (SOURCE / "NEWS.md").read_text(), option
    equal(place.facts("pid"), [])


@case("--help is one screen, --version one line")
def _(place):
    text = subprocess.run([WRAPPER, "--help"], capture_output=True, text=True, check=True).stdout
    assert len(text.splitlines()) <= 24 and max(map(len, text.splitlines())) <= 80, text
    text = subprocess.run([WRAPPER, "--version"], capture_output=True, text=True, check=True).stdout
    equal(len(text.splitlines()), 1)


def read(name):
    """A file of the sources; in one of fish "-l x" is an option."""
    text = (SOURCE / name).read_text()
    return re.sub(r"(?m)^(complete .*?) -l ", r"\1 --", text) if name.endswith(".fish") else text


@case("help, manual and completions know the same options")
def _(place):
    text = subprocess.run([WRAPPER, "--help"], capture_output=True, text=True, check=True).stdout
    options = sorted(set(re.findall(r"(?<![$\w])--[a-z][a-z-]+", text)))
    assert len(options) >= 10, options
    completions = [f"host-wrapper/completion/{name}" for name in ("ccvm-scratch-run.bash", "_ccvm-scratch-run", "ccvm-scratch-run.fish")]
    for name in ("man/ccvm-scratch-run.1.scd", *completions):
        equal((name, [option for option in options if option not in read(name)]), (name, []))
    for name in completions:
        known = set(re.findall(r"(?<!\w)--[a-z][a-z-]+", re.sub(r"# .*", "", read(name))))
        equal((name, sorted(known - set(options))), (name, []))
    known = re.findall(r'\{ "(--[a-z-]+)", [^}]*parse_', read("host-wrapper/options.c"))
    equal(sorted([*known, "--help", "--version"]), options)


@case("the manual names every environment variable, and what wins")
def _(place):
    variables = set()
    for file in (SOURCE / "host-wrapper").glob("*.c"):
        variables |= set(re.findall(r'getenv\("(\w+)"\)|"(CCVM_\w+)"', file.read_text()))
    variables = {name for names in variables for name in names if name}
    assert len(variables) >= 7, variables
    equal([name for name in variables if f"*{name}*" not in MANUAL and f"${name}" not in MANUAL], [])
    assert "An option wins over its environment variable, and that over the\ndefault." in MANUAL


@case("the manual's commands, as they stand, in a fresh account")
def _(place):
    examples = [text for text in re.findall(r"```\n(.*?)```", MANUAL, re.DOTALL) if "ccvm-scratch-run --" in text]
    assert len(examples) >= 3, examples
    for name, program in (("ccvm-scratch-run", WRAPPER), ("qemu-system-x86_64", FAKE_VMM)):
        (place.path / name).symlink_to(program)
    for example in examples:
        place.log.unlink(missing_ok=True)
        env = place.environment("exit 0", "encrypted\n", PATH=f"{place.path}:{os.environ['PATH']}")
        command = ["sh", "-c", example.replace("\\\\", "\\")]  # scdoc's own escape
        result = subprocess.run(command, env=env, cwd=place.path, check=False, capture_output=True, text=True)
        # The machine of the tests need not have as much room.
        said = [line for line in result.stderr.splitlines() if " MiB are free in " not in line]
        equal((example, result.returncode, said), (example, 0, []))
        equal(place.image()[2], int(re.search(r"--vm-disk-size=(\d+)", example).group(1)) * GIB)
    equal((place.path / "job1.status").read_text(), "encrypted\n")


@case("bash completes options, their values, and then leaves the line to QEMU")
def _(place):
    need("bash")
    script = """
        . "$1"; compopt() { :; }; shift
        COMP_WORDS=(ccvm-scratch-run "$@"); COMP_CWORD=$#
        _ccvm_scratch_run; printf '%s\\n' "${COMPREPLY[@]}"
    """
    (place.path / "file").touch()
    for words, expected in (
        (("--vm-d",), ["--vm-disk-size="]),
        (("--vm-disk-size", "=", "5"), ["512M"]),
        (("--lock-memory", "=", "y"), ["yes"]),
        (("--lock-memory", "="), ["no", "yes"]),
        (("--vm-disk-size", "=", "20", "--dry"), ["--dry-run"]),
        (("--vm-disk-size", "20", "--dry"), ["--dry-run"]),
        (("--scratch-dir", "="), ["scratch"]),
        (("--status-file", "=", "fi"), ["file"]),
        (("qemu", "--dry"), [""]),
        (("--", "qemu", "fi"), ["file"]),
    ):
        completion = SOURCE / "host-wrapper/completion/ccvm-scratch-run.bash"
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
        self.out = place.path / "out"
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(place.path)
            os.execvpe("zsh", ["zsh", "-f", "-i"], place.environment(TERM="dumb"))
        setup = ZSH_SETUP.format(completion=SOURCE / "host-wrapper/completion", out=self.out)
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


@case("zsh completes options, their values, and then leaves the line to QEMU")
def _(place):
    need("zsh")
    (place.path / "some-file").touch()
    zsh = Zsh(place)
    for words, expected in (
        ("--vm-d", "--vm-disk-size="),
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
