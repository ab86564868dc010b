# SPDX-License-Identifier: LGPL-2.1-or-later
"""The benchmark's command line: which variants, how often, and where the results go."""

import argparse
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
    arguments = parser.parse_args()
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

    arguments = parse_arguments(list(variants.NAMES))
    names = arguments.variants or (variants.QUICK if arguments.quick else variants.NAMES)
    repeat = 1 if arguments.quick else arguments.repeat

    import boots
    import report

    guest = pathlib.Path(os.environ["CCVM_GUEST"])
    results = pathlib.Path(os.environ["CCVM_CACHE"]) / f"bench-{guest.name.removeprefix('guest-')}"
    results.mkdir(exist_ok=True)
    boots.vm.LOGS = results

    todo = [(n, name) for n in range(1, repeat + 1) for name in names]
    progress = Progress(len(todo))
    failed = False
    for n, name in todo:
        path = results / f"{name}.{n}.json"
        if arguments.keep and path.exists():
            continue
        progress.begin(f"{name}, boot {n}")
        try:
            figures = boots.boot(variants.make(name), idle=not arguments.quick)
            path.write_text(json.dumps(figures, indent=1))
            progress.end("  ok")
        except Exception:
            failed = True
            progress.end("FAIL")
            traceback.print_exc()

    report.write(results, list(variants.NAMES))
    print(f"Results: {os.environ.get('CCVM_HOST_CACHE', results.parent)}/{results.name}/bench.md", file=sys.stderr)
    return failed


sys.exit(main())
