#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A systemd-vmspawn VM (259 or later) with a scratch disk of 20 GiB. vmspawn takes the file name of a drive for its serial, which here is
# the number of the descriptor: 9. So the command line passes the serial to the guest, together with the marker. Arguments of this
# script are further options of vmspawn.

set -eu

# The image has no name. It is open as descriptor 9, has mode 0600, and is gone when the VMM ends, in whatever way.
file=$(mktemp -p "${CCVM_SCRATCH_DIR:-/var/tmp}")
exec 9<>"$file"
rm "$file"
truncate -s 20G /proc/self/fd/9

exec systemd-vmspawn --ram=4G --image=root.raw --extra-drive=/proc/self/fd/9 "$@" ccvm.vm_disk=1 ccvm.serial=9
