# SPDX-License-Identifier: LGPL-2.1-or-later
"""What people do all day on such a disk: many small files, mostly, made, copied and deleted.

Work is the time in which the guest's CPU had something to do, by its instructions, until all is written. The waits for
the disk are not in it: they are this host's. How many requests the disk got is counted beside it, as each of them costs a
real host something.
"""

import io
import json
import pathlib
import random
import shutil
import statistics
import subprocess
import tarfile

import boots
import picture
from boots import BY_ID
from report import median, table
from vm import Image, check_equal

# Programs, sources and archives are on a disk of their own, as the guest's image has none of them.
TOOLS = pathlib.Path("/var/tmp/bench-work")
SOURCES = pathlib.Path(__file__).parents[2] / "lib/common"
FILES = 10000

JOBS = {
    "unpack 10,000 files": "tar xf $tools/modules.tar",
    "copy them": "cp -a node_modules copy",
    "clone a git repository": "git clone -q $tools/repository checkout",
    "compile": "mkdir objects; for f in $tools/src/*.c; do gcc -O2 -D_GNU_SOURCE -c -o objects/${f##*/}.o $f; done",
    "1,000 SQLite transactions": "sqlite3 db <$tools/transactions.sql >/dev/null",
    "container layers": "mkdir base upper work merged; tar -C base -xf $tools/headers.tar; "
    "mount -t overlay -o lowerdir=base,upperdir=upper,workdir=work overlay merged; "
    "chmod -R o+w merged/include/linux; cp -a merged/include/linux merged/new; umount merged",
    "delete it all": "rm -rf node_modules copy checkout objects db base upper work merged",
}

SCRIPT = r"""
section() { echo "== $1"; }
look() { cat /proc/uptime; head -1 /proc/stat; [ ! "$disk" ] || cat /sys/block/$disk/stat; }
work() {
    sync -f .
    section "$1, before"; look
    section "$1, status"; sh -e -c "$2" 2>&1; echo $?
    sync -f .
    section "$1, after"; look
}
[ ! -e @BY_ID@ ] || disk=$(basename $(readlink -f @BY_ID@))
mkdir -p @MOUNT@
@PREPARE@
export tools=/run/bench-tools HOME=/run
mkdir -p $tools @MOUNT@/bench
mount -t erofs -o ro /dev/disk/by-id/virtio-bench-tools $tools
mount -t overlay -o lowerdir=$tools/usr:/usr overlay /usr
cd @MOUNT@/bench
"""


def add_programs(*programs):
    for program in programs:
        for path in [program] + boots.libraries(program):
            to = TOOLS / (path[1:] if path.startswith("/usr/") else "usr" + path)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, to)


def add_compiler():
    gcc = pathlib.Path("/usr/bin/gcc").resolve()
    names = [subprocess.check_output([gcc, f"-print-prog-name={name}"], text=True).strip() for name in ("cc1", "as")]
    [cc1, assembler] = [str(pathlib.Path(shutil.which(name)).resolve()) for name in names]
    add_programs(str(gcc), cc1, assembler)
    (TOOLS / "usr/bin/gcc").symlink_to(gcc.name)
    (TOOLS / "usr/bin/as").symlink_to(pathlib.Path(assembler).name)
    headers = subprocess.check_output([gcc, "-print-file-name=include"], text=True).strip()
    shutil.copytree(headers, TOOLS / headers[1:])
    shutil.copytree("/usr/include", TOOLS / "usr/include")
    shutil.copytree(SOURCES, TOOLS / "src")


def add_modules():
    """A tree as npm makes them: small packages of small files; always the same."""
    chance = random.Random(1)
    with tarfile.open(TOOLS / "modules.tar", "w") as archive:
        for i in range(FILES):
            size = min(int(chance.lognormvariate(7.2, 1.2)), 1 << 17)
            entry = tarfile.TarInfo(f"node_modules/package{i // 20}/lib/{i % 20}.js")
            entry.size = size
            archive.addfile(entry, io.BytesIO((b"%08d\n" % i) * (size // 9 + 1)))


def add_repository():
    tree, git = TOOLS / "tree", ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    shutil.copytree("/usr/include", tree)
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "tree"]):
        subprocess.run(git + words, check=True, cwd=tree)
    subprocess.run(["git", "clone", "-q", "--bare", tree, TOOLS / "repository"], check=True)
    shutil.rmtree(tree)
    # Of root, as who clones it in the guest.
    subprocess.run(["tar", "-C", "/usr", "-cf", TOOLS / "headers.tar", "include"], check=True)


def tools_image():
    path = TOOLS.with_suffix(".erofs")
    if not path.exists():
        shutil.rmtree(TOOLS, ignore_errors=True)
        TOOLS.mkdir()
        add_programs("/usr/bin/git", "/usr/bin/sqlite3", "/usr/bin/tar")
        (TOOLS / "usr/bin/git-upload-pack").symlink_to("git")
        add_compiler()
        add_modules()
        add_repository()
        lines = ["create table t (a integer primary key, b text);"]
        lines += [f"begin; insert into t values ({i}, '{i:0200}'); commit;" for i in range(1000)]
        (TOOLS / "transactions.sql").write_text("\n".join(lines) + "\n")
        subprocess.run(["mkfs.erofs", "--quiet", path, TOOLS], check=True)
        shutil.rmtree(TOOLS)
    return path


def look(lines):
    """(ms, ms in which the CPU was busy, requests to the disk: writes, discards, flushes)"""
    up, ticks = float(lines[0].split()[0]), lines[1].split()
    # idle and iowait, to 10 ms; of the disk the kernel's Documentation/block/stat.rst has the order.
    idle = (int(ticks[4]) + int(ticks[5])) / 100
    disk = [int(n) for n in lines[2].split()] if len(lines) > 2 else [0] * 17
    return up * 1000, (up - idle) * 1000, disk[4] + disk[11] + disk[15]


def run(variant, prepare=""):
    """Returns {job: figures}."""
    script = SCRIPT.replace("@BY_ID@", BY_ID).replace("@PREPARE@", prepare).replace("@MOUNT@", variant.mount)
    script += "\n".join(f"work '{name}' '{command}'" for name, command in JOBS.items()) + "\ncd /; true\n"
    tools = Image(tools_image(), 0).device(1, "bench-tools", read_only=True)
    report = boots.BenchVM(variant, script=script, icount="shift=0", more=tools).run()
    figures = {}
    for name in JOBS:
        check_equal(report.lines(f"{name}, status")[-1], "0", name)
        before, after = (look(report.lines(f"{name}, {when}")) for when in ("before", "after"))
        figures[name] = [b - a for a, b in zip(before, after)]
    return {"name": variant.name, "title": variant.title, "figures": figures}


def load(results, names, flush):
    """What run() returned of each variant, {job: lists of the figures of its rounds}; the plain disk first."""
    found = []
    for name in names:
        rounds = [json.loads(path.read_text()) for path in sorted(results.glob(f"work-{name}-{flush}.[0-9]*.json"))]
        if rounds:
            jobs = {job: list(zip(*(r["figures"][job] for r in rounds))) for job in JOBS}
            found.append({**rounds[0], "figures": jobs, "rounds": len(rounds)})
    return found


def ratio(values, base):
    """The quotient of the medians; in brackets the distance from the smallest of them to the largest, in hundredths."""
    base = statistics.median(base)
    text = f"{statistics.median(values) / base:.2f}"
    return f"{text} [{(max(values) - min(values)) / base * 100:.0f}]" if len(values) > 1 else text


def write(path, names, flush):
    results = load(path.parent, names, flush)
    if not results:
        return
    plain, *others = results
    # The wall clock waits for the disk, too.
    what, i = ("time", 0) if boots.wall_clock else ("work", 1)
    text = f"## A day's work, flushes {flush}\n\n"
    if flush == "honoured" and not boots.wall_clock:
        text += __doc__.split("\n\n", 1)[1] + "\n"
    rows = []
    for job in JOBS:
        base = plain["figures"][job][i]
        rows.append([job, median(base, 1)] + [ratio(result["figures"][job][i], base) for result in others])
    text += table([what, f"{plain['title']}, ms", *(f"{r['title']}, times that" for r in others)], rows)
    rows = [[job] + [f"{statistics.median(r['figures'][job][2]):.0f}" for r in results] for job in JOBS]
    text += table(["requests to the disk", *(result["title"] for result in results)], rows)
    text += f"Medians of {plain['rounds']}.\n\n"
    if others and flush == "honoured":
        path.with_name("work.svg").write_text(picture.draw_work(results, i, f"A day's work: {what}, plain ext4 is 1"))
        text += "![A day's work](work.svg)\n\n"
    path.write_text(text)
