# SPDX-License-Identifier: LGPL-2.1-or-later
"""The benchmark's command line: which variants, how often, and where the results go."""

import argparse
import concurrent.futures
import functools
import json
import os
import pathlib
import sys
import time
import traceback

# What the host does with flushes of the disk.
FLUSHES = {"honoured": True, "ignored": False}

HELP = """\
Boots variants of the reference guest and compares them: without a disk, with the encrypted scratch disk, with the
shell commands that it replaces, and with crypttab. The results are a Markdown table and a picture of the boots.
"""


def parse_arguments(names):
    parser = argparse.ArgumentParser(
        prog="tests/bench/run", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=f"which; all if none is given: {', '.join(names)}")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="boots of each variant of the README, and of each that is named; of the others one (5)")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs of fio and of the day's work (3)")
    parser.add_argument("--flushes", default=",".join(FLUSHES), help=f"what the host does with flushes, for fio and the day's work: {', '.join(FLUSHES)}; both")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="guests at a time, but for fio; their clock is not the host's (1)")
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
    if unknown := set(arguments.flushes.split(",")) - set(FLUSHES):
        parser.error(f"no such way with flushes: {', '.join(sorted(unknown))}")
    if unknown := set(arguments.variants) - set(names):
        parser.error(f"no such variant: {', '.join(sorted(unknown))}")
    return arguments


def run_job(job, keep):
    """job: (what, where its result goes, function). Returns whether it has succeeded."""
    what, path, function = job
    if keep and path.exists():
        return True
    started, word = time.monotonic(), "  ok"
    try:
        function(path=path)
    except Exception:
        word = "FAIL"
        traceback.print_exc()
    print(f"{word} {what} {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return word != "FAIL"


def main():
    import variants

    arguments = parse_arguments([*variants.NAMES, *variants.PREPARE])
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

    def measure_speed(name, flush, path):
        path.write_text(json.dumps(speed.run(*variants.make_disk(name, flush), arguments.seconds), indent=1))

    def measure_work(name, flush, path):
        path.write_text(json.dumps(work.run(*variants.make_disk(name, flush)), indent=1))

    # Those that boot with something of theirs; the plain disk and tmpfs are only measured when they are up.
    chosen = [name for name in arguments.variants if name in variants.NAMES]
    disks = [name for name in variants.DISKS if not arguments.variants or name in [*arguments.variants, "plain-20g"]]
    # (what, where its result goes, function); those of alone have nothing beside them.
    jobs, alone = [], []
    if "boot" in arguments.parts:
        names = chosen if arguments.variants else variants.QUICK if arguments.quick else variants.NAMES
        for n in range(1, (1 if arguments.quick else arguments.repeat) + 1):
            jobs += [
                (f"{name}, boot {n}", results / f"{name}.{n}.json", functools.partial(boot, name))
                for name in names
                if n == 1 or chosen or name in variants.OFTEN
            ]
    for n in range(1, arguments.runs + 1):
        for word in arguments.flushes.split(","):
            flush = FLUSHES[word]
            for name in disks:
                if "speed" in arguments.parts:
                    function = functools.partial(measure_speed, name, flush)
                    alone.append((f"{name}, speed {n}, flushes {word}", results / f"speed-{name}-{word}.{n}.json", function))
                if "work" in arguments.parts:
                    function = functools.partial(measure_work, name, flush)
                    jobs.append((f"{name}, work {n}, flushes {word}", results / f"work-{name}-{word}.{n}.json", function))
    if "cost" in arguments.parts:
        alone.append(("initrd and generator", results / "part-3.md", functools.partial(initrd.write, cache=cache)))
    if "sizes" in arguments.parts:
        function = functools.partial(sizes.write, variant=variants.make("ext4-20g"), seconds=arguments.seconds)
        alone.append(("dm-crypt's requests", results / "part-4.md", function))
    if "profile" in arguments.parts:
        for name in chosen if arguments.variants else variants.QUICK:
            function = functools.partial(timeline.write, variant=variants.make(name))
            jobs.append((f"{name}, profile", results / f"profile-{name}.txt", function))

    # What several guests share is made before.
    for name in [*(chosen or variants.NAMES), *disks]:
        if name in variants.NAMES:
            variants.make(name)
    speed.tools_image()
    work.tools_image()
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        good = list(pool.map(lambda job: run_job(job, arguments.keep), jobs))
    good += [run_job(job, arguments.keep) for job in alone]

    for i, word in enumerate(FLUSHES):
        speed.write(results / f"part-2{i}.md", variants.DISKS, word)
        work.write(results / f"part-2{i}b.md", variants.DISKS, word)
    report.write(results, list(variants.NAMES))
    print(f"Results: {os.environ.get('CCVM_HOST_CACHE', cache)}/{results.name}/bench.md", file=sys.stderr)
    return not all(good)


sys.exit(main())
