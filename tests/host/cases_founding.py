# SPDX-License-Identifier: LGPL-2.1-or-later
"""The checks that the project's founding document asks for, under its names."""

import os
import subprocess

from harness import FAKE_VMM, GIB, case, equal, make_file, mounted, refused


@case("no key file in the seed directory")
def _(place):
    seed = place.path / "seed"
    seed.mkdir()
    equal(place.run(f"--seed={seed}").returncode, 0)
    equal([p.name for p in seed.iterdir()], ["vm-disk"])


@case("the wrapper writes only the vm-disk marker")
def _(place):
    seed = place.path / "seed"
    seed.mkdir()
    (seed / "other").write_text("untouched")
    equal(place.run(f"--seed={seed}").returncode, 0)
    equal((seed / "vm-disk").read_text(), "1")
    equal((seed / "other").read_text(), "untouched")
    equal(sorted(p.name for p in place.path.rglob("*")), ["log", "other", "scratch", "seed", "vm-disk"])


@case("the marker of an earlier run goes away with the disk, and what a guest has put in its place is not followed")
def _(place):
    seed = place.path / "seed"
    seed.mkdir()
    marker, precious = seed / "vm-disk", make_file(place.path / "precious", 5)
    for plant in (lambda: marker.symlink_to(precious), lambda: os.mkfifo(marker), lambda: marker.write_text("much more")):
        plant()
        equal(place.run(f"--seed={seed}").returncode, 0)
        equal((marker.is_symlink(), marker.read_text(), precious.stat().st_size), (False, "1", 5))
        equal(place.run(f"--seed={seed}", size="0").returncode, 0)
        equal([list(seed.iterdir()), precious.stat().st_size], [[], 5])
    equal(place.run(f"--seed={seed}", size="0").returncode, 0)
    refused(place.run(f"--seed={place.path}/missing"), "missing/vm-disk", "--seed")
    marker.mkdir()
    refused(place.run(f"--seed={seed}"), str(marker), "--seed")


@case("refuses a tmpfs target")
def _(place):
    with mounted(place.path / "ram", "-t", "tmpfs", "tmpfs") as ram:
        result = place.run(f"--scratch-dir={ram}")
        refused(result, str(ram), "in RAM (tmpfs)", "--scratch-dir=", "CCVM_SCRATCH_ALLOW_TMPFS=1")
        equal(list(ram.iterdir()), [])
    equal(place.facts("pid"), [])


@case("CCVM_SCRATCH_ALLOW_TMPFS=1")
def _(place):
    with mounted(place.path / "ram", "-t", "tmpfs", "tmpfs") as ram:
        for value in ("", "0", "yes", "true", "11"):
            equal(place.run(f"--scratch-dir={ram}", CCVM_SCRATCH_ALLOW_TMPFS=value).returncode, 125)
        result = place.run(f"--scratch-dir={ram}", CCVM_SCRATCH_ALLOW_TMPFS="1")
        equal((result.returncode, result.stderr), (0, ""))


@case("image sparse (apparent size N GiB, allocated ≪ 1 MiB at start)")
def _(place):
    for n in (1, 20, 1024):
        place.log.unlink(missing_ok=True)
        equal(place.run(size=str(n)).returncode, 0)
        _, _, size, allocated, _, _ = place.image()
        equal(size, n * GIB)
        assert allocated <= 64 * 1024, allocated


@case("size 0 attaches nothing and leaves the argv untouched")
def _(place):
    vmm = (FAKE_VMM, "-machine", "q35", "-append", "a  b", "", "--vm-disk-size=9", "new\tline")
    result = place.run("--lock-memory", f"--status-file={place.status}", size="0", vmm=vmm)
    equal((result.returncode, result.stdout, result.stderr), (0, "", ""))
    equal(place.facts("arg"), list(vmm))
    equal(place.inherited(), {})
    equal(place.left(), [])
    before = subprocess.run(["sh", "-c", "ulimit -c"], capture_output=True, text=True, check=True).stdout
    after = place.run(size="0", vmm=("sh", "-c", "ulimit -c")).stdout
    equal(after, before)
