#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A crosvm VM with a scratch disk of 20 GiB. The guest finds the disk by id=, its serial. The marker is ccvm.vm_disk=1 on the kernel
# command line.

set -eu

# The image has no name. It is open as descriptor 9, has mode 0600, and is gone when the VMM ends, in whatever way.
file=$(mktemp -p "${CCVM_SCRATCH_DIR:-/var/tmp}")
exec 9<>"$file"
rm "$file"
truncate -s 20G /proc/self/fd/9

exec crosvm run --cpus num-cores=2 --mem size=4096 --initrd initrd \
	--block path=root.raw,ro=true \
	--block path=/proc/self/fd/9,id=ccvm-scratch \
	--params 'root=LABEL=root console=ttyS0 ccvm.vm_disk=1' vmlinuz
