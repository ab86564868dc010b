# SPDX-License-Identifier: LGPL-2.1-or-later
"""The benchmark's command line: which variants, how often, and where the results go."""

import argparse
import functools
import json
import os
import pathlib
import sys
import time
import traceback

HELP = """\
Boots variants of the reference guest and compares them: without a disk, with the encrypted scratch disk, with the
shell commands that it replaces, and with crypttab. The results are a Markdown table and a picture of the boots.
"""


def parse_arguments(names):
    parser = argparse.ArgumentParser(
        prog="tests/bench/run", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=f"which; all if none is given: {', '.join(names)}")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="boots of each variant (3)")
    parser.add_argument("--quick", action="store_true", help="one boot of each of the first variants, no idle minute")
    parser.add_argument("--keep", action="store_true", help="keep the boots of earlier runs of this image, make only the others")
    parser.add_argument("--kvm", action="store_true", help="by KVM and the wall clock: for whose KVM works, and who has a quiet host")
    parser.add_argument("--wall-clock", action="store_true", help="by the wall clock, with an emulated CPU: to try what --kvm does")
    parser.add_argument("--parts", default="boot,speed,work,cost", help="boot, speed (fio), work (a day's), cost (initrd, generator), sizes (of dm-crypt's requests), profile; all but the last two")
    parser.add_argument("--seconds", type=int, default=3, metavar="S", help="guest time of each fio job (3)")
    arguments = parser.parse_args()
    arguments.parts = ["boot"] if arguments.quick else arguments.parts.split(",")
    if arguments.kvm and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        parser.error("--kvm: cannot open /dev/kvm; leave it out to count instructions")
    if unknown := set(arguments.parts) - {"boot", "speed", "work", "cost", "sizes", "profile"}:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if unknown := set(arguments.variants) - set(names):
        parser.error(f"no such variant: {', '.join(sorted(unknown))}")
    return arguments


class Progress:
    """One line for what runs; on a terminal it is overwritten."""

    def __init__(self, total):
        self.total, self.done, self.began = total, 0, time.monotonic()

    def begin(self, name):
        self.done += 1
        self.line = f"  … {name} ({self.done} of {self.total})"
        self.started = time.monotonic()
        if sys.stderr.isatty():
            print(f"\r\033[K{self.line}", end="", file=sys.stderr, flush=True)

    def end(self, what):
        start = "\r\033[K" if sys.stderr.isatty() else ""
        seconds = time.monotonic() - self.started
        print(f"{start}{what} {self.line[4:]} {seconds:.0f} s", file=sys.stderr, flush=True)


def main():
    import variants

    arguments = parse_arguments([*variants.NAMES, *(name for name in variants.WORK if name not in variants.NAMES)])
    import boots
    import initrd
    import timeline
    import report
    import sizes
    import speed
    import work

    guest = pathlib.Path(os.environ["CCVM_GUEST"])
    cache = pathlib.Path(os.environ["CCVM_CACHE"])
    boots.wall_clock = "kvm" if arguments.kvm else "tcg" if arguments.wall_clock else None
    boots.machine.KVM = arguments.kvm
    suffix = f"-{boots.wall_clock}" if boots.wall_clock else ""
    results = cache / f"bench-{guest.name.removeprefix('guest-')}{suffix}"
    results.mkdir(exist_ok=True)
    boots.vm.LOGS = results

    def boot(name, path):
        figures = boots.boot(variants.make(name), idle=not arguments.quick)
        path.write_text(json.dumps(figures, indent=1))

    def measure_speed(name, path):
        variant = speed.plain() if name == "plain-20g" else variants.make(name)
        path.write_text(json.dumps(speed.run(variant, arguments.seconds), indent=1))

    def measure_work(name, path):
        given = {"plain-20g": work.plain, "tmpfs": work.tmpfs}
        variant = given[name]() if name in given else (variants.make(name),)
        path.write_text(json.dumps(work.run(*variant), indent=1))

    # Instructions are the same in each round.
    rounds = range(1, (arguments.repeat if boots.wall_clock else 1) + 1)
    # Those that boot with something of theirs; the plain disk and tmpfs have only a day's work.
    chosen = [name for name in arguments.variants if name in variants.NAMES]
    jobs = []  # (what, where its result goes, function)
    if "boot" in arguments.parts:
        names = chosen if arguments.variants else variants.QUICK if arguments.quick else variants.NAMES
        for n in range(1, (1 if arguments.quick else arguments.repeat) + 1):
            jobs += [(f"{name}, boot {n}", results / f"{name}.{n}.json", functools.partial(boot, name)) for name in names]
    if "speed" in arguments.parts:
        for name in variants.SPEED:
            if arguments.variants and name not in [*arguments.variants, "plain-20g"]:
                continue
            jobs.append((f"{name}, speed", results / f"speed-{name}.json", functools.partial(measure_speed, name)))
    if "work" in arguments.parts:
        names = [name for name in variants.WORK if not arguments.variants or name in [*arguments.variants, "plain-20g"]]
        for n in rounds:
            jobs += [(f"{name}, work {n}", results / f"work-{name}.{n}.json", functools.partial(measure_work, name)) for name in names]
    if "cost" in arguments.parts:
        jobs.append(("initrd and generator", results / "part-3.md", functools.partial(initrd.write, cache=cache)))
    if "sizes" in arguments.parts:
        function = functools.partial(sizes.write, variant=variants.make("ext4-20g"), seconds=arguments.seconds)
        jobs.append(("dm-crypt's requests", results / "part-4.md", function))
    if "profile" in arguments.parts:
        for name in chosen if arguments.variants else variants.QUICK:
            function = functools.partial(timeline.write, variant=variants.make(name))
            jobs.append((f"{name}, profile", results / f"profile-{name}.txt", function))

    failed = False
    progress = Progress(len(jobs))
    for what, path, function in jobs:
        progress.begin(what)
        if arguments.keep and path.exists():
            continue
        try:
            function(path=path)
            progress.end("  ok")
        except Exception:
            failed = True
            progress.end("FAIL")
            traceback.print_exc()

    speeds = [json.loads(p.read_text()) for name in variants.SPEED if (p := results / f"speed-{name}.json").exists()]
    if speeds:
        speed.write(results / "part-2.md", speeds)
    work.write(results / "part-2b.md", variants.WORK)
    report.write(results, list(variants.NAMES))
    print(f"Results: {os.environ.get('CCVM_HOST_CACHE', cache)}/{results.name}/bench.md", file=sys.stderr)
    return failed


sys.exit(main())
