# SPDX-License-Identifier: LGPL-2.1-or-later
"""The speed of the finished disk: fio, by another clock than the boots.

Instructions count here as well, but the clock of an idle CPU runs with the host's (sleep=on): what the guest computes
is reproducible, and what it waits for the disk is what it waits for this one, on this host: the busier that is, the longer.
Compare medians of the latency, unless the host had nothing else to do. How many requests reach the disk is counted too,
and depends on no clock. Flushes are honoured: they reach the host's disk. ccvm-scratch-run has QEMU ignore them, which
is measured by itself, for all alike.
"""

import json
import os
import pathlib
import shutil
import statistics
import subprocess

import boots
from boots import BY_ID
from report import median, table
from vm import Image

# fio and its libraries are on a disk of their own, as the guest's image has none of them.
TOOLS = pathlib.Path("/var/tmp/bench-tools")

JOBS = {
    "1 MiB sequential write": "--rw=write --bs=1M --direct=1",
    "1 MiB sequential read": "--rw=read --bs=1M --direct=1",
    "4 KiB random write": "--rw=randwrite --bs=4k --direct=1",
    "4 KiB random write, fsync": "--rw=randwrite --bs=4k --fsync=1",
}

SCRIPT = r"""
section() { echo "== $1"; }
counters() { if [ "$disk" ]; then cat /sys/block/$disk/stat; else echo 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0; fi; }
[ ! -e @BY_ID@ ] || disk=$(basename $(readlink -f @BY_ID@))
mkdir -p @MOUNT@
@PREPARE@
mkdir -p /run/bench-tools @MOUNT@/bench
mount -t erofs -o ro /dev/disk/by-id/virtio-bench-tools /run/bench-tools
cd @MOUNT@/bench
section mounted; findmnt --noheadings --output FSTYPE,SOURCE,OPTIONS --target .
fio() {
    name=$1; shift
    sync -f .
    section "$name, before"; counters
    section "$name"
    /run/bench-tools/ld.so --library-path /run/bench-tools /run/bench-tools/fio --name=job --filename=file \
        --size=64M --ioengine=psync --runtime=@SECONDS@ --time_based --output-format=json "$@"
    sync -f .
    section "$name, after"; counters
}
@JOBS@
rm file; cd /; true
"""


def tools_image():
    path = TOOLS.with_suffix(".erofs")
    if not path.exists():
        TOOLS.mkdir()
        shutil.copy("/usr/bin/fio", TOOLS)
        for library in boots.libraries("/usr/bin/fio"):
            shutil.copy(library, TOOLS)
        shutil.copy("/lib64/ld-linux-x86-64.so.2", TOOLS / "ld.so")
        subprocess.run(["mkfs.erofs", "--quiet", path, TOOLS], check=True)
    return path


def run(variant, prepare, seconds):
    """Returns {job: figures}."""
    script = SCRIPT.replace("@BY_ID@", BY_ID).replace("@PREPARE@", prepare).replace("@SECONDS@", str(seconds))
    script = script.replace("@JOBS@", "\n".join(f'fio "{name}" {words}' for name, words in JOBS.items()))
    script = script.replace("@MOUNT@", variant.mount)
    tools = Image(tools_image(), 0).device(1, "bench-tools", read_only=True)
    report = boots.BenchVM(variant, script=script, icount="shift=0", more=tools).run()

    figures = {}
    for name in JOBS:
        job = json.loads("\n".join(report.lines(name)))["jobs"][0]
        side = job["read" if "read" in name else "write"]
        latency = job["sync"]["lat_ns"] if "fsync" in name else side["clat_ns"]
        before, after = ([int(n) for n in report.line(f"{name}, {when}").split()] for when in ("before", "after"))
        # The kernel's Documentation/block/stat.rst has the order.
        writes, sectors, flushes = (after[i] - before[i] for i in (4, 6, 15))
        figures[name] = {
            "rate": side["bw_bytes"] / (1 << 20) if name.startswith("1 MiB") else side["iops"],
            "latency_ns": {p: latency["percentile"][f"{p}000"] for p in ("50.000", "99.000", "99.900")},
            "disk": [count / side["total_ios"] for count in (writes, sectors, flushes)],
        }
    # The mean of five minutes is about that of the run.
    return {"title": variant.title, "load": os.getloadavg()[1], "mounted": report.line("mounted"), "figures": figures}


def medians(rounds, job, key):
    return [statistics.median(values) for values in zip(*(r["figures"][job][key] for r in rounds))]


def write(path, names, flush):
    """results: what run() returned of each variant."""
    found = {}
    for name in names:
        paths = sorted(path.parent.glob(f"speed-{name}-{flush}.[0-9]*.json"))
        if paths:
            found[name] = [json.loads(p.read_text()) for p in paths]
    if not found:
        return
    text = f"## The finished disk, flushes {flush}\n\n"
    if flush == "honoured" and not boots.wall_clock:
        text += __doc__.split("\n\n", 1)[1] + "\n"
    for job in JOBS:
        unit = "MiB/s" if job.startswith("1 MiB") else "a second"
        rows = []
        for rounds in found.values():
            latency = [statistics.median(v) / 1e6 for v in zip(*(r["figures"][job]["latency_ns"].values() for r in rounds))]
            rows.append([rounds[0]["title"], median([r["figures"][job]["rate"] for r in rounds], 1),
                         " / ".join(f"{ms:.2f}" for ms in latency), *(f"{n:.2f}" for n in medians(rounds, job, "disk"))])
        head = [job, f"{unit}", "latency: 50 / 99 / 99.9 % (ms)", "writes of the disk per operation", "sectors", "flushes"]
        text += table(head, rows)
    if flush == "honoured":
        rows = [[r[0]["title"], r[0]["mounted"], len(r), f"{max(one['load'] for one in r):.1f}"] for r in found.values()]
        text += table(["disk", "mounted", "runs", "load average of the host, at most"], rows)
    path.write_text(text)
