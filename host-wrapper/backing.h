/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a file is kept on: RAM in its disguises, or dm-crypt. By statfs(2), one block's FIEMAP and sysfs;
 * what none of them shows (network, FUSE) is taken for a disk. */

#include "macro.h"

#define BACKING_NAME_MAX 64U /* bytes, for names in messages */

/* Whether a new, empty file is kept in RAM: tmpfs, ramfs, hugetlbfs, an overlay over one, or a file system
 * on zram, brd, null_blk or a loop device over such, also below the device mapper or RAID. name: of what. 1,
 * 0, -errno. */
int backing_is_ram(int fd, char name[static BACKING_NAME_MAX]);

/* Whether what is written to a swap device or swap file, as /proc/swaps names it, stays in RAM or is
 * encrypted on its way to every disk. */
bool backing_is_safe_swap(const char *path);

/* Finds a device, from a directory of sysfs down, that is RAM, or with clear one that writes what is not
 * encrypted to a disk. name: which. What sysfs does not know is not RAM, and in the clear. */
bool backing_find(const char *directory, bool clear, char name[static BACKING_NAME_MAX]);
