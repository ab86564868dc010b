/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Block devices and what they lie on: a partition on its disk, a mapping or a RAID on its members, down to
 * the disks. Only sysfs is read; no device is opened, as one that is gone or hangs does not answer.
 *
 * When: at any time in the guest, from the start of the real root to the shutdown, and on the host before
 * the VM starts. */

#include "macro.h"

typedef struct BlockDevice {
        const char *name;      /* the kernel's, "dm-0"; of a partition that of its disk */
        const char *directory; /* in sysfs, without links; NULL if the device is not there any more */
        bool lowest;           /* it lies on nothing that sysfs knows */
} BlockDevice;

/* Judges the device d. Returns 0 to go on, 1 to leave out what d lies on, negative to end the walk. */
typedef int (*BlockVisitor)(const BlockDevice *d, void *userdata);

/* Calls visit for the device whose directory in sysfs this is, and for each device below it, upper ones
 * first. A device below too many others (8) counts as not there; so does one that has only the name of
 * the one that was. Returns 0, or what visit ended it with; -ENOMEM. */
int blockstack_walk(const char *directory, BlockVisitor visit, void *userdata);

/* Finds the directory in sysfs of the block device node "/dev/vda2" or "/dev/mapper/NAME", which for the
 * former need not be there. By the name alone: a service may have a /dev of its own. root goes before all
 * paths, "" for the system's own. The caller frees it; NULL if there is none. */
char *blockstack_find(const char *root, const char *node);

/* Tells brd, zram, and null_blk, whose blocks are in memory or nowhere, by the kernel's name: "zram0". */
bool block_is_ram(const char *name);
