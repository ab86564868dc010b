/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether a file is kept in RAM, in its disguises. By statfs(2), one block's FIEMAP and sysfs; what none of
 * them shows (network, FUSE) counts as a disk.
 *
 * When: on the host, before the VM starts. */

#include "macro.h"

#define BACKING_NAME_MAX 64U /* bytes, for names in messages */

/* Whether a new, empty file is kept in RAM: tmpfs, ramfs, hugetlbfs, an overlay over one, or a file system
 * on zram, brd, null_blk or a loop device over such, also below the device mapper or RAID. name: of what. 1,
 * 0, -errno. */
int backing_is_ram(int fd, char name[static BACKING_NAME_MAX]);

/* Finds a device in RAM, from a directory of sysfs down; puts its name into name. What sysfs does not
 * know is not RAM. */
bool backing_find(const char *directory, char name[static BACKING_NAME_MAX]);
