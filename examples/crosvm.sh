#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A VM of crosvm with a scratch disk of 20 GiB: its serial is id=, the marker a word for the kernel.

set -eu

# The image has no name: it is open as descriptor 9, mode 0600, and gone with the VMM, however that ends.
file=$(mktemp -p "${CCVM_SCRATCH_DIR:-/var/tmp}")
exec 9<>"$file"
rm "$file"
truncate -s 20G /proc/self/fd/9

exec crosvm run --cpus num-cores=2 --mem size=4096 --initrd initrd \
	--block path=root.raw,ro=true \
	--block path=/proc/self/fd/9,id=ccvm-scratch \
	--params 'root=LABEL=root console=ttyS0 ccvm.vm_disk=1' vmlinuz
