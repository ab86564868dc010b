# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the time of one boot goes: what PID 1 logs from its start to switch-root, and the CPU time of each unit.

With systemd.log_level=debug, which makes the boot slower; compare such boots with each other only.
"""

import dataclasses
import json
import re

import boots

SCRIPT = r"""
section() { echo "== $1"; }
section journal; journalctl -b -o json --no-pager SYSLOG_IDENTIFIER=systemd _TRANSPORT=journal \
    + _TRANSPORT=kernel --output-fields=MESSAGE,_TRANSPORT,_SOURCE_REALTIME_TIMESTAMP,_SOURCE_MONOTONIC_TIMESTAMP
true
"""

# Of the debug log, what tells how a boot went.
INTERESTING = re.compile(
    r"Consumed .* CPU time|rate ?limit|Forked|Child \d+ .* died|Starting |Started |Finished |Mounting |Mounted "
    r"|Reached target|Found device|Switching root|Reloading|Deactivated|generator .*succeeded|dm-|virtio_blk|EXT4|device-mapper|unpack rootfs|Freeing initrd|Run .init|running in system mode"
)
NOISE = re.compile(r"varlink|Installed new job|Enqueued job|bus")


def lines(report):
    """(ms of guest time, message) in order."""
    found = []
    for entry in map(json.loads, report.lines("journal")):
        message = entry.get("MESSAGE")
        if not isinstance(message, str):
            continue
        if entry["_TRANSPORT"] == "kernel":
            time = int(entry["_SOURCE_MONOTONIC_TIMESTAMP"])
        else:
            received, offset = int(entry["__MONOTONIC_TIMESTAMP"]), int(entry["__REALTIME_TIMESTAMP"])
            time = received - (offset - int(entry.get("_SOURCE_REALTIME_TIMESTAMP", offset)))
        found.append((time / 1000, message))
    return sorted(found)


def write(path, variant):
    variant = dataclasses.replace(variant, append=f"{variant.append} systemd.log_level=debug log_buf_len=4M printk.devkmsg=on")
    report = boots.BenchVM(variant, script=SCRIPT).run()
    last, text = 0, ""
    for time, message in lines(report):
        if INTERESTING.search(message) and not NOISE.search(message):
            text += f"{time:9.1f} {time - last:+8.1f}  {message[:140]}\n"
            last = time
    path.write_text(text)
