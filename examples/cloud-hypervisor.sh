#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A VM of Cloud Hypervisor (50.1 or later) with a scratch disk of 20 GiB, by its serial. The marker is an SMBIOS string, a system
# credential of the guest.

set -eu

# The image has no name: it is open as descriptor 9, mode 0600, and gone with the VMM, however that ends.
file=$(mktemp -p "${CCVM_SCRATCH_DIR:-/var/tmp}")
exec 9<>"$file"
rm "$file"
truncate -s 20G /proc/self/fd/9

exec cloud-hypervisor --cpus boot=2 --memory size=4G \
	--kernel vmlinuz --initramfs initrd --cmdline 'root=LABEL=root console=ttyS0' --serial tty --console off \
	--platform 'oem_strings=[io.systemd.credential:ccvm.vm-disk=1]' \
	--disk path=root.raw,image_type=raw,readonly=on path=/proc/self/fd/9,image_type=raw,serial=ccvm-scratch
