# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same boot from other initrds than dracut's."""

from cases import DISK, GIB, OVERLAY_SCRIPT, check_encrypted, check_overlay, check_scratch, directory
from vm import VM, Image, build_guest, check


def mkosi_initrd():
    """The Debian package, installed by name into the image and into mkosi's own initrd."""
    image = Image(directory() / "disk", 20 * GIB)
    script = OVERLAY_SCRIPT + r"""
section debian; ls /usr/share/zsh/vendor-completions
"""
    report = VM("mkosi-initrd", f"{DISK} ccvm.nix=overlay", image.device(), script, guest=build_guest("package")).run()
    check_encrypted(report, 20 * GIB)
    check_scratch(report, "ext4")
    check_overlay(report, "ext4")
    check("_ccvm-scratch" in report.lines("debian"), "the image has not the Debian package")
