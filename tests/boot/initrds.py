# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same boot from other initrds than dracut's."""

from cases import DISK, GIB, OVERLAY_SCRIPT, check_encrypted, check_overlay, check_scratch, directory
from registry import case
from script import Script
from vm import VM, Image, build_guest, check

SCRIPT = OVERLAY_SCRIPT + Script(("debian", "ls /usr/share/zsh/vendor-completions"))


@case(seconds=60, since_systemd=256)  # as old is a mkosi that can make it
def mkosi_initrd():
    """The Debian package, installed by name into the image and into mkosi's own initrd."""
    image = Image(directory() / "disk", 20 * GIB)
    report = VM("mkosi-initrd", f"{DISK} ccvm.nix=overlay", image.device(), SCRIPT, guest=build_guest("package")).run()
    check_encrypted(report, 20 * GIB)
    check_scratch(report, "ext4")
    check_overlay(report, "ext4")
    check("_ccvm-scratch" in report.lines("debian"), "the image has not the Debian package")
