# SPDX-License-Identifier: LGPL-2.1-or-later
"""The setup program with ASan and UBSan at its real work."""

import os
import pathlib
import re
import subprocess

from cases import DISK, GIB, LUKS, directory
from fault import drop_in
from integrity import AUTHENTICATED, TAGS_SCRIPT, check_authenticated
from registry import case
from vm import VM, Image

# Of the build with sanitizers, which tests/run makes.
SETUP = os.environ.get("CCVM_SANITIZED", "/nonexistent")

# What they say ends the program, and then the disk is not used. Leaks are for tests/setup: to look for them takes a
# debugger's rights, which the service does not have.
SERVICE = """[Service]
Environment=ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=halt_on_error=1
"""


def program():
    """The program in place of the initrd's, and the libraries that only it needs."""
    libraries = re.findall(r"=> (/\S*(?:san|\+\+)\.so\S*)", subprocess.check_output(["ldd", SETUP], text=True))
    files = {"/usr" + path: (pathlib.Path(path).read_bytes(), 0o755) for path in libraries}
    files["/usr/lib/ccvm-scratch/ccvm-scratch-setup"] = (pathlib.Path(SETUP).read_bytes(), 0o755)
    return files | drop_in(LUKS, SERVICE)


@case(seconds=40)
def sanitized():
    """With integrity, the longest way through the program."""
    image = Image(directory() / "disk", GIB)
    report = VM("sanitized", f"{DISK} {AUTHENTICATED}", image.device(), TAGS_SCRIPT, program(), patience=200).run()
    check_authenticated(report, GIB)
