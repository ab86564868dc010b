/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Pools that are gone, by the numbers that their mounts have in the mount table (mounted.h), and the file
 * that has them while a renewal is under way. */

#include <sys/types.h>

#include "macro.h"

typedef struct OldPools {
        dev_t numbers[8];
        size_t n;
} OldPools;

bool old_pools_have(const OldPools *old, dev_t number);

/* The last ones are kept; 0 is none. */
void old_pools_add(OldPools *old, dev_t number);

/* Adds those of the file: of a renewal that was cut off the pools are still to be replaced too. */
void old_pools_read(OldPools *old);

/* Writes the file. Logs its errors. */
int old_pools_write(const OldPools *old);
