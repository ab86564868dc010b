/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A zram device of our own: a block device in RAM, which keeps a page of one repeated byte as an entry of
 * its table, and is never swapped. */

#include <stdint.h>

#include "macro.h"

/* Makes an empty device, and gives its name, "zram2", for the caller to free. Never the first two, which
 * zram-generator(8) and others take for swap. -ENOENT if the kernel has no zram. */
int zram_add(char **ret_name);

/* size: bytes of the device. What the kernel says. */
int zram_set_size(const char *name, uint64_t size);

/* 0 also if there is none of this name; -EBUSY if somebody has it open for long. */
int zram_remove(const char *name);
