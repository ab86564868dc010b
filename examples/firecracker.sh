#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A Firecracker VM with a scratch disk of 20 GiB. Firecracker makes the serial of the disk from three numbers of the image's file (st_dev;
# st_rdev, which is 0; st_ino), one behind the other, of which virtio shows 20 characters. So the command line passes the serial to
# the guest, together with the marker. cache_type is "Unsafe" since nothing on the disk has to survive the VM: flushes are ignored.

set -eu

# The image has no name. It is open as descriptor 9, has mode 0600, and is gone when the VMM ends, in whatever way.
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
