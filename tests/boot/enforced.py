# SPDX-License-Identifier: LGPL-2.1-or-later
"""--require-encrypted of the host: the guest itself powers off, and says why. By both ways it is cases.py's require-encrypted."""

from cases import NOT_FOUND, check_console, check_told, wrapped
from vm import VM, check_equal


class CredentialVM(VM):
    """Its command line is one that the wrapper does not extend, as that of a kernel in a signed image: only credentials reach the
    guest, and the user's own say something else, as the command line does."""

    def command(self):
        conf = self.directory / "conf"
        conf.write_text("[Scratch]\nFallback=none\n")
        words = super().command()
        at = words.index("-append")
        words[at : at + 2] = ["-machine", "append=" + words[at + 1].replace(",", ",,")]
        return [*words, "-fw_cfg", f"name=opt/io.systemd.credentials/ccvm.conf,file={conf}"]


def check_off(vm, status_file, reason):
    report = vm.start().wait()
    check_equal(report.text, "", "what a guest said that should not have come so far")
    check_told(vm, status_file, f"none {reason}")
    check_console(vm, reason, "powering off, as Fallback=fail says")


def enforced_by_credential():
    """The credential ccvm.fallback wins over a ccvm.conf and the command line."""
    append = f"{NOT_FOUND} ccvm.fallback=tmpfs"
    vm, _, status_file = wrapped("enforced-by-credential", append, options=["--require-encrypted"], kind=CredentialVM)
    check_off(vm, status_file, "device-timeout")


def enforced_when_set_up_fails():
    """The disk is there, and the guest's kernel has no dm-crypt for it."""
    vm, _, status_file = wrapped("enforced-when-set-up-fails", "module_blacklist=dm_crypt", options=["--require-encrypted"])
    check_off(vm, status_file, "activate")
