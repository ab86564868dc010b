#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A Cloud Hypervisor VM (50.1 or later) with a scratch disk of 20 GiB. The guest finds the disk by serial=. The marker is a system
# credential, passed as an SMBIOS string.

set -eu

# The image has no name. It is open as descriptor 9, has mode 0600, and is gone when the VMM ends, in whatever way.
file=$(mktemp -p "${CCVM_SCRATCH_DIR:-/var/tmp}")
exec 9<>"$file"
rm "$file"
truncate -s 20G /proc/self/fd/9

exec cloud-hypervisor --cpus boot=2 --memory size=4G \
	--kernel vmlinuz --initramfs initrd --cmdline 'root=LABEL=root console=ttyS0' --serial tty --console off \
	--platform 'oem_strings=[io.systemd.credential:ccvm.vm-disk=1]' \
	--disk path=root.raw,image_type=raw,readonly=on path=/proc/self/fd/9,image_type=raw,serial=ccvm-scratch
