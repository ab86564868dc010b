/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A block device of our own in RAM, which is never swapped: zram, which keeps a page of one repeated word as
 * an entry of its table, or where the kernel has none a loop device over a file in a ramfs that is mounted
 * nowhere, which takes all of its RAM once that is written.
 *
 * Made in the boot and in a renewal with Integrity=, and removed with the pool. */

#include <stdint.h>

#include "macro.h"

/* Makes an empty device of size bytes and gives its name, "zram2" or "loop0", for the caller to free. Never
 * the first two of zram, which zram-generator(8) and others take for swap. The first user of a loop device
 * is this process, to its end. What the kernel says: -ENOENT, -ENODEV or -ENXIO if it has neither. */
int ramdisk_open(uint64_t size, char **ret_name);

/* Removes the device name. A loop device goes by itself with its last user. 0 also if there is none; -EBUSY
 * if it stays open for long. */
int ramdisk_close(const char *name);
