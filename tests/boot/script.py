# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the guest is asked: a list of (section, command).

A command's output is the section of that name in the report. A command under None is a function for those behind it, or
something that the guest does without a word. tests/boot/check-scripts looks at each script of a module without a VM.
"""

# By one open file for both ways: what comes for a port that is just being closed is lost.
PRELUDE = r"""
section() { echo "== $1"; }
ask() { exec 3<>/dev/virtio-ports/ccvm.host; echo "$1" >&3; read -r answer <&3; exec 3>&-; }
"""


class Script(tuple):
    """Commands of the guest, in their order."""

    written = []  # each that there is, for the check

    def __new__(cls, *commands):
        script = super().__new__(cls, commands)
        Script.written.append(script)
        return script

    def __add__(self, more):
        return Script(*self, *more)

    def commands(self):
        """For a script that goes on."""
        return "".join(f"section {name}\n{command}\n" if name else f"{command}\n" for name, command in self)

    def text(self):
        """For the guest's sh."""
        return PRELUDE + self.commands()


# Of the entries that say how a boot went.
MESSAGE_IDS = {
    "off": "7c625ba00f4c42c6bfddbedeaf1ba685",
    "encrypted": "0b1a94c4546b462693583107a7ba0724",
    "tmpfs": "a1b9127a7cab4dcbb72cafc329de128c",
    "none": "69396b351533487fbc7bc9a5e5c0c9e4",
}

# Those, what else our programs say, and everybody's errors: by fields of which the journal has an index.
ENTRIES = " + ".join((
    *(f"MESSAGE_ID={number}" for number in MESSAGE_IDS.values()),
    *(f"SYSLOG_IDENTIFIER=ccvm-scratch-{name}" for name in ("setup", "generator")),
    *(f"PRIORITY={level}" for level in range(4)),
))  # fmt: skip

# What each boot is asked.
REPORT = Script(
    # Of the boot alone: what the script does comes behind it.
    ("cpu", "read -r line </proc/stat; echo $line"),
    ("status-json", "cat /run/ccvm-scratch/status.json"),
    ("status-now", "ccvm-scratch status --json=short; code=$?"),
    ("status-exit", "echo $code"),
    ("failed", "systemctl list-units --failed --plain --no-legend | cut -d' ' -f1"),
    ("mounts", "findmnt --json --output TARGET,SOURCE,FSTYPE,OPTIONS --list"),
    # The key of dm-integrity's hash is in its table.
    ("table", "dmsetup table | sed -E 's/(internal_hash:[^: ]*):[0-9a-f]+/\\1:KEY/'"),
    ("journal", f"""journalctl -b -o json --no-pager {ENTRIES} \\
    --output-fields=MESSAGE,MESSAGE_ID,PRIORITY,SYSLOG_IDENTIFIER,CCVM_STATE,CCVM_REASON"""),
)

# What a script asks once more, later: in the report that counts. The boot's own time stays what it was.
AGAIN = Script(*(command for command in REPORT if command[0] != "cpu"))
