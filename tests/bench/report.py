# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tables and the picture, from the figures of the boots."""

import json
import os
import pathlib
import platform
import re
import statistics
import subprocess

import boots as guests
import picture

METHOD = """\
Made by `tests/bench/run`, which anyone can. All variants boot the same guest image in QEMU with
`-accel tcg -icount shift=0,sleep=off -smp 1`; they differ by command line, disk, and files appended to the initrd.

The guest's clock counts instructions, one a nanosecond: neither the host's speed nor what else it does is in it. The CPU
has neither ERMS nor FSRM, with which each byte that the kernel clears or copies would count as an instruction. While
the CPU is idle the clock does not stand still but jumps to the next timer, again and again until the disk has answered. What
the host has in its page cache (the root image, all of it) is read without such a wait, by io_uring; writes do wait.
So *idle*, the time until the end of the boot in which the CPU had nothing to do, is shown by itself: where
it is more than that of pure RAM, the boot waited for a disk or for a timer, and for a disk the figure says little about a
real one. *Work* is the delay of multi-user.target without it: instructions only, and the figure to compare.

A cell is the median, with the distance between the smallest and the largest in brackets where there was more than one
boot. Delays are those of the medians over pure RAM with the package.
"""

WALL_CLOCK = """\
Made by `tests/bench/run --{option}` on {host}: {cpu}, {count} CPUs, Linux {kernel}, {qemu}. All variants boot the same
guest image with one CPU; they differ by command line, disk, and files appended to the initrd. Times are by the host's clock,
so that they are those of this host, and of what else it did. *Idle* is the time until the end of the boot in which the
guest's CPU had nothing to do, *work* the delay of multi-user.target without it.

A cell is the median of the boots, which took turns with those of the other variants, with the distance between the smallest
and the largest in brackets. Delays are those of the medians over pure RAM with the package.
"""


def method():
    if not guests.wall_clock:
        return METHOD
    cpu = re.search(r"^model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    qemu = subprocess.check_output(["qemu-system-x86_64", "--version"], text=True).splitlines()[0]
    text = WALL_CLOCK.format(
        option="kvm" if guests.wall_clock == "kvm" else "wall-clock",
        host=platform.node(), cpu=cpu[1] if cpu else platform.machine(), count=os.cpu_count(), kernel=platform.release(), qemu=qemu,
    )  # fmt: skip
    if guests.wall_clock == "tcg":
        text += "\n**The CPU is emulated: this tries what --kvm does, and says nothing of how fast it is.**\n"
    return text


def median(values, scale=1000):
    """In ms, with the spread."""
    text = f"{statistics.median(values) / scale:.0f}"
    return f"{text} [{(max(values) - min(values)) / scale:.0f}]" if len(values) > 1 else text


def size(count):
    return f"{count / (1 << 20):.1f} MiB" if count < 100 << 20 else f"{count / (1 << 20):.0f} MiB"


def table(head, rows):
    lines = [head, ["---"] + ["--:"] * (len(head) - 1)] + rows
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n\n"


def values(boots, key):
    return [boot[key] for boot in boots]


def boot_table(variants):
    baseline = variants.get("ram")

    def delay(boots, key):
        if not baseline:
            return "–"
        return f"{(statistics.median(values(boots, key)) - statistics.median(values(baseline, key))) / 1000:+.0f}"

    rows = [
        [boots[0]["title"], len(boots), median(values(boots, "switch_root")), delay(boots, "switch_root"),
         delay(boots, "initrd_fs"), delay(boots, "up"), median(values(boots, "idle")), delay(boots, "work_total")]
        for boots in variants.values()
    ]
    return table(["ms of guest time", "boots", "switch-root at", "delay of switch-root", "of initrd-fs.target",
                  "of multi-user.target", "idle", "work"], rows)


def stage_table(variants):
    stages = ("wait", "format", "activate", "mkfs", "mount", "total")
    rows = []
    for boots in variants.values():
        if "work" not in boots[0]:
            continue
        timings = [boot.get("status", {}).get("timingsUSec", {}) for boot in boots]
        rows.append(
            [boots[0]["title"]]
            + [median([t[stage] for t in timings]) if timings[0] else "" for stage in stages]
            + [median([end - begin for begin, end in values(boots, "work")]), size(max(values(boots, "memory"))) if boots[0]["memory"] else ""]
            + [size(max(b["allocated"].get(when, 0) for b in boots)) if boots[0]["allocated"].get(when) else "" for when in ("up", "idle")]
        )
    return table(["ms of guest time", *stages, "the whole unit", "its peak memory", "allocated when up", "after 60 s"], rows)


def load(results, names):
    """{variant: its boots}, in the order of names."""
    found = {}
    for name in names:
        if boots := [json.loads(path.read_text()) for path in sorted(results.glob(f"{name}.[0-9]*.json"))]:
            found[name] = [{**boot, "work_total": boot["up"] - boot["idle"]} for boot in boots]
    return found


def write(results, names):
    variants = load(results, names)
    parts = ["# Benchmark\n\n", method(), "\n## The boot\n\n", boot_table(variants),
             "![The boots](boot.svg)\n\n", "## The disk\n\n", stage_table(variants)]
    for path in sorted(results.glob("part-*.md")):
        parts.append(path.read_text())
    (results / "bench.md").write_text("".join(parts).rstrip() + "\n")
    (results / "boot.svg").write_text(picture.draw_boots(variants))
