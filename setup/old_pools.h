/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Pools that are gone while their mounts may not be, by the device numbers of these in the mount table
 * (mounted.h); and the file that keeps them as long as a renewal is under way, also one that was cut off. */

#include <sys/types.h>

#include "macro.h"

typedef struct OldPools {
        dev_t numbers[8];
        size_t n;
} OldPools;

bool old_pools_have(const OldPools *old, dev_t number);

/* Adds number, unless it is 0; the last ones are kept. */
void old_pools_add(OldPools *old, dev_t number);

/* Adds those of the file, if there is one. */
void old_pools_read(OldPools *old);

/* Writes the file. Logs its errors. */
int old_pools_write(const OldPools *old);
