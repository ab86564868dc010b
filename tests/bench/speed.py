# SPDX-License-Identifier: LGPL-2.1-or-later
"""The speed of the finished disk: fio and the unpacking of a source tree, by another clock than the boots.

Instructions count here as well, but the clock of an idle CPU runs with the host's (sleep=on): what the guest computes
is reproducible, and what it waits for the disk is what it waits for this one, on this host: the busier that is, the longer.
Compare medians of the latency, unless the host had nothing else to do. How many requests reach the disk is counted too,
and depends on no clock. Flushes reach the host's disk here; ccvm-scratch-run has QEMU ignore them.
"""

import json
import os
import pathlib
import shutil
import subprocess

import boots
from boots import BY_ID, GIB, Variant
from report import table
from vm import Image

# fio, its libraries and the tree are on a disk of their own, as the guest's image has none of them.
TOOLS = pathlib.Path("/var/tmp/bench-tools")
TREES = ["usr/include", "usr/lib/python3"]

JOBS = {
    "1 MiB sequential write": "--rw=write --bs=1M --direct=1",
    "1 MiB sequential read": "--rw=read --bs=1M --direct=1",
    "4 KiB random write": "--rw=randwrite --bs=4k --direct=1",
    "4 KiB random write, fsync": "--rw=randwrite --bs=4k --fsync=1",
}
UNPACK = "unpacking a source tree, sync"

SCRIPT = r"""
section() { echo "== $1"; }
counters() { cat /sys/block/$disk/stat; }
disk=$(basename $(readlink -f @BY_ID@))
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
rm file; sync -f .
section "@UNPACK@, before"; counters
begin=$(date +%s%N); tar xf /run/bench-tools/tree.tar; sync -f .; end=$(date +%s%N)
section "@UNPACK@"; echo $begin $end $(find . -type f | wc -l)
section "@UNPACK@, after"; counters
true
"""


def tools_image():
    path = TOOLS.with_suffix(".erofs")
    if not path.exists():
        TOOLS.mkdir()
        shutil.copy("/usr/bin/fio", TOOLS)
        for library in boots.libraries("/usr/bin/fio"):
            shutil.copy(library, TOOLS)
        shutil.copy("/lib64/ld-linux-x86-64.so.2", TOOLS / "ld.so")
        subprocess.run(["tar", "-C", "/", "-cf", TOOLS / "tree.tar", *TREES], check=True)
        subprocess.run(["mkfs.erofs", "--quiet", path, TOOLS], check=True)
    return path


def run(variant, seconds):
    """Returns {job: figures}."""
    prepare = ""
    if not variant.mount:
        variant.mount = "/mnt"
        prepare = "mkfs.ext4 -q -F -E nodiscard /dev/$disk && mount /dev/$disk /mnt"
    script = SCRIPT.replace("@BY_ID@", BY_ID).replace("@PREPARE@", prepare).replace("@SECONDS@", str(seconds))
    script = script.replace("@JOBS@", "\n".join(f'fio "{name}" {words}' for name, words in JOBS.items()))
    tools = Image(tools_image(), 0).device(1, "bench-tools", read_only=True)
    report = boots.BenchVM(variant, script=script.replace("@UNPACK@", UNPACK), icount="shift=0", more=tools).run()

    figures = {}
    for name in JOBS:
        job = json.loads("\n".join(report.lines(name)))["jobs"][0]
        side = job["read" if "read" in name else "write"]
        latency = job["sync"]["lat_ns"] if "fsync" in name else side["clat_ns"]
        figures[name] = {
            "operations": side["total_ios"],
            "bytes_per_second": side["bw_bytes"],
            "iops": side["iops"],
            "latency_ns": {p: latency["percentile"][f"{p}000"] for p in ("50.000", "99.000", "99.900")},
        }
    begin, end, count = map(int, report.line(UNPACK).split())
    figures[UNPACK] = {"seconds": (end - begin) / 1e9, "operations": count}
    for name, found in figures.items():
        before, after = ([int(n) for n in report.line(f"{name}, {when}").split()] for when in ("before", "after"))
        difference = [b - a for a, b in zip(before, after)]
        # The kernel's Documentation/block/stat.rst has the order.
        found["disk"] = {"writes": difference[4], "sectors": difference[6], "flushes": difference[15]}
    # The mean of five minutes is about that of the run.
    return {
        "title": variant.title,
        "load": os.getloadavg()[1],
        "mounted": report.line("mounted"),
        "figures": figures,
    }


def plain():
    return Variant("plain-20g", "not encrypted, 20 GiB", 20 * GIB)


def rate(job, found):
    if job == UNPACK:
        return f"{found['seconds']:.2f} s"
    if job.startswith("1 MiB"):
        return f"{found['bytes_per_second'] / (1 << 20):.0f} MiB/s"
    return f"{found['iops']:.0f} /s"


def percentiles(found):
    return " / ".join(f"{ns / 1e6:.2f}" for ns in found["latency_ns"].values()) if "latency_ns" in found else ""


def write(path, results):
    """results: what run() returned of each variant."""
    text = "## The finished disk\n\n" + ("" if boots.wall_clock else __doc__.split("\n\n", 1)[1] + "\n")
    for job in list(JOBS) + [UNPACK]:
        rows = []
        for result in results:
            found = result["figures"][job]
            per = [f"{n / found['operations']:.2f}" for n in found["disk"].values()]
            rows.append([result["title"], rate(job, found), percentiles(found), *per])
        each = "file" if job == UNPACK else "operation"
        head = [job, "speed", "latency: 50 / 99 / 99.9 % (ms)", f"writes of the disk per {each}", "sectors", "flushes"]
        text += table(head, rows)
    rows = [[result["title"], result["mounted"], f"{result['load']:.1f}"] for result in results]
    text += table(["disk", "mounted", "load average of the host"], rows)
    path.write_text(text)
