# SPDX-License-Identifier: LGPL-2.1-or-later
"""How large a request dm-crypt takes as one, by the module parameters that Linux 6.11 and later have.

It splits what is larger: each part is encrypted, maybe by another CPU, and is a request of its own to the disk. Since
Linux 6.17, and in the stable kernels of that time, the parameters can only make them smaller than 128 KiB. One CPU is
measured by its instructions, more of them by the wall clock: an emulator that counts runs one CPU at a time.
"""

import json
import statistics

import boots
import speed
from report import table
from vm import Image

# Bytes; 0 is the kernel's own choice, 128 KiB.
SIZES = [0, 32768, 65536, 1048576]
CPUS = [1, 2, 4]
LOADS = {
    "write": "--rw=write --bs=1M --direct=1 --ioengine=psync",
    "read": "--rw=read --bs=1M --direct=1 --ioengine=psync",
    "write, four at once": "--rw=write --bs=1M --direct=1 --ioengine=psync --numjobs=4 --group_reporting",
    "through the page cache": "--rw=write --bs=1M --end_fsync=1 --ioengine=psync",
    "random 4 KiB and large, mixed": "--rw=randrw --bssplit=4k/80:1M/20 --direct=1 --ioengine=psync",
}

SCRIPT = r"""
section() { echo "== $1"; }
tools=/run/bench-tools
mkdir -p $tools /scratch/bench
mount -t erofs -o ro /dev/disk/by-id/virtio-bench-tools $tools
disk=$(basename $(readlink -f @BY_ID@))
cd /scratch/bench
measure() {
    echo $2 >/sys/module/dm_crypt/parameters/max_read_size
    echo $2 >/sys/module/dm_crypt/parameters/max_write_size
    sync -f .; section "$1 $2 $3"
    sed 's/^/before /' /sys/block/$disk/stat
    $tools/ld.so --library-path $tools $tools/fio --name=job --size=32M --runtime=@SECONDS@ --time_based \
        --output-format=json $4 >/run/fio.json
    sync -f .; sed 's/^/after /' /sys/block/$disk/stat
    cat /run/fio.json
}
# The files are written once before anything counts.
measure warm 0 0 "--rw=write --bs=1M --direct=1 --numjobs=4"
"""


def read(lines):
    """(MiB a second, requests to the disk for each MiB)"""
    # The kernel's Documentation/block/stat.rst has the order.
    before, after = ([int(n) for n in line.split()[1:]] for line in lines[:2])
    [job] = json.loads("\n".join(lines[2:]))["jobs"]
    mib = (job["read"]["io_bytes"] + job["write"]["io_bytes"]) / (1 << 20)
    rate = (job["read"]["bw_bytes"] + job["write"]["bw_bytes"]) / (1 << 20)
    requests = after[0] + after[4] - before[0] - before[4]
    return rate, requests / mib


def run(variant, cpus, seconds, rounds):
    """Returns {load: {size: [medians of MiB a second, of requests for each MiB]}}."""
    script = SCRIPT.replace("@BY_ID@", boots.BY_ID).replace("@SECONDS@", str(seconds))
    # In each round another one is the first.
    jobs = [(load, size, n) for n in range(rounds) for load in LOADS for size in SIZES[n:] + SIZES[:n]]
    script += "\n".join(f"measure '{load}' {size} {n} '{LOADS[load]}'" for load, size, n in jobs) + "\ncd /; true\n"
    tools = Image(speed.tools_image(), 0).device(1, "bench-tools", read_only=True)
    report = boots.BenchVM(variant, script=script, icount="shift=0", more=tools, cpus=cpus).run()
    return {
        load: {
            size: [statistics.median(v) for v in zip(*(read(report.lines(f"{load} {size} {n}")) for n in range(rounds)))]
            for size in SIZES
        }
        for load in LOADS
    }


def write(path, variant, seconds):
    text = "## dm-crypt's largest request\n\n" + __doc__.split("\n\n", 1)[1] + "\n"
    for cpus in CPUS:
        found = run(variant, cpus, seconds, 3 if cpus > 1 or boots.wall_clock else 1)
        rows = []
        for load, sizes in found.items():
            default = sizes[0][0]
            rows.append([load, *(f"{rate:.0f} ({rate / default:.2f}), {each:.1f}" for rate, each in sizes.values())])
        names = [f"{size >> 10} KiB" if size else "128 KiB, the kernel's" for size in SIZES]
        text += table([f"{cpus} CPU{'s' if cpus > 1 else ''}: MiB/s (times the kernel's), requests for each MiB", *names], rows)
    path.write_text(text)
