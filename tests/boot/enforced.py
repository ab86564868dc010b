# SPDX-License-Identifier: LGPL-2.1-or-later
"""--require-encrypted of the host: the guest itself powers off, and says why. By both ways it is wrapper.py's require-encrypted."""

from cases import directory
from machine import EROFS, Root, erofs_words
from registry import case
from vm import check_equal
from wrapper import check_console, check_told, wrapped

NVME = Root(EROFS.options, lambda machine: [*erofs_words(machine)[:2], "-device", "nvme,drive=root,serial=ccvm-root"])


def check_off(vm, status_file, reason):
    report = vm.start().wait()
    check_equal(report.text, "", "what a guest said that should not have come so far")
    check_told(vm, status_file, f"none {reason}")
    check_console(vm, reason, "powering off, as Fallback=fail says")


@case
def enforced_by_credential():
    """The credential ccvm.fallback wins over a ccvm.conf and the command line, which nobody extends.

    The guest has no driver for the disk: none comes at all.
    """
    conf = directory() / "conf"
    conf.write_text("[Scratch]\nFallback=none\n")
    fields = {"fixed": True, "root": NVME, "credentials": {"ccvm.conf": f"file={conf}"}}
    append = "module_blacklist=virtio_blk ccvm.device_timeout=2 ccvm.fallback=tmpfs"
    vm, _, status_file = wrapped("enforced-by-credential", append, options=["--require-encrypted"], **fields)
    check_off(vm, status_file, "device-timeout")


@case
def enforced_when_set_up_fails():
    """The disk is there, and the guest's kernel has no dm-crypt for it."""
    vm, _, status_file = wrapped("enforced-when-set-up-fails", "module_blacklist=dm_crypt", options=["--require-encrypted"])
    check_off(vm, status_file, "kernel")
