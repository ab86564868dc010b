/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Taking the disk from the kernel at shutdown. Once the file system is given up, dm-crypt may still hold
 * gigabytes that it was handed before, as PID 1 calls sync(2) when a shutdown begins. They cannot be called
 * back, and nobody is there to read them: without a disk they fail, where else they would be written. */

#include <sys/types.h>

#include "macro.h"

/* If something is on its way through the mapping whose number this is, removes the disk below it, as if it
 * had been unplugged: virtio-blk, Xen, and whatever the kernel's SCSI layer serves. Returns when what the
 * disk was given already is done (see device_limit_queue()). 0 also where the kernel cannot, as for the
 * namespace of an NVMe controller that may have others; else what it says. */
int unplug_below(dev_t mapping);
