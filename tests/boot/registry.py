# SPDX-License-Identifier: LGPL-2.1-or-later
"""The cases by name. meson has its list from here: tests/boot/run --list."""

import os
import subprocess

from machine import KVM

CASES = {}


class Case:
    """A function that boots VMs and fails by an exception, and what has to be known before it runs.

    seconds: about how long it takes; the longest are started first. quick: one of those that say most. counted: rests on
    counted instructions, and is skipped where a CPU of this machine's own runs the guests. oldstable: once more with a
    guest of Debian 12 (tests/boot/oldstable), which cannot be if it takes fault.program(), of another release then.
    """

    def __init__(self, function, seconds, quick, counted, oldstable):
        self.run = function
        self.seconds = seconds
        self.quick = quick
        self.oldstable = oldstable and os.environ.get("CCVM_SUITE") == "trixie"
        self.skipped = "rests on counted instructions" if counted and KVM else None


def systemd():
    """The version that the tools here have."""
    return int(subprocess.check_output(["systemctl", "--version"], text=True).split()[1])


def case(function=None, *, seconds=15, quick=False, counted=False, oldstable=False, since_systemd=0):
    """Registers the function under its name, with dashes."""

    def register(function):
        if not since_systemd or systemd() >= since_systemd:
            CASES[function.__name__.replace("_", "-")] = Case(function, seconds, quick, counted, oldstable)
        return function

    return register(function) if function else register


def in_order():
    """The names, the longest first, so that all that run beside each other end together."""
    return sorted(CASES, key=lambda name: -CASES[name].seconds)
