/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Taking the disk from the kernel. Once the file system is given up, dm-crypt may still hold gigabytes that
 * it was handed before, as PID 1 calls sync(2) when a shutdown begins. They cannot be called back, and
 * nobody will read them: without a disk they fail, where else they would be written.
 *
 * Used at shutdown alone, when all but the pool's own mount is unmounted. */

#include <sys/types.h>

/* Removes the disk below the mapping with this number, as if it had been unplugged, if I/O of the mapping is
 * under way: on virtio-blk, Xen, and whatever the kernel's SCSI layer serves. Returns when what the disk was
 * given already is done (device_limit_queue()). 0 also where the kernel cannot, as for the namespace of an
 * NVMe controller that may have others; else what it says. */
int unplug_below(dev_t mapping);
