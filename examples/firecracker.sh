#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A VM of Firecracker with a scratch disk of 20 GiB. Its serial cannot be chosen: it is made of the numbers of the image's file, its
# device, that of its own if it is one (0), and its inode, one behind the other, of which virtio shows 20 characters. So the guest
# is told of it, beside the marker. "Unsafe": nothing of the disk has to survive the VM, so that nothing is flushed for it.

set -eu

# The image has no name: it is open as descriptor 9, mode 0600, and gone with the VMM, however that ends.
file=$(mktemp -p "${CCVM_SCRATCH_DIR:-/var/tmp}")
exec 9<>"$file"
rm "$file"
truncate -s 20G /proc/self/fd/9

serial=$(stat -Lc %d0%i /proc/self/fd/9)
serial=${serial:0:20}

exec firecracker --no-api --config-file <(
	cat <<-END
		{
		  "machine-config": { "vcpu_count": 2, "mem_size_mib": 4096 },
		  "boot-source": {
		    "kernel_image_path": "vmlinux",
		    "initrd_path": "initrd",
		    "boot_args": "root=LABEL=root console=ttyS0 ccvm.vm_disk=1 ccvm.serial=$serial"
		  },
		  "drives": [
		    { "drive_id": "root", "path_on_host": "root.raw", "is_root_device": false, "is_read_only": true },
		    {
		      "drive_id": "scratch",
		      "path_on_host": "/proc/self/fd/9",
		      "is_root_device": false,
		      "is_read_only": false,
		      "cache_type": "Unsafe"
		    }
		  ]
		}
	END
)
