#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A VM of systemd-vmspawn (259 or later) with a scratch disk of 20 GiB. The serial of a drive is the name of its file, which here is
# the number of the descriptor; so the guest is told of it, beside the marker. Arguments are more options of vmspawn.

set -eu

# The image has no name: it is open as descriptor 9, mode 0600, and gone with the VMM, however that ends.
file=$(mktemp -p "${CCVM_SCRATCH_DIR:-/var/tmp}")
exec 9<>"$file"
rm "$file"
truncate -s 20G /proc/self/fd/9

exec systemd-vmspawn --ram=4G --image=root.raw --extra-drive=/proc/self/fd/9 "$@" ccvm.vm_disk=1 ccvm.serial=9
