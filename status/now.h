/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is so now: how the boot went, by the record, and what has become of it, by the mount table and sysfs.
 *
 * When: in the running guest, with each call of ccvm-scratch(1). */

#include "health.h"
#include "refusals.h"
#include "status.h"

typedef struct Now {
        Status status;
        Refusals refused;
        char *refused_paths[REFUSALS_MAX + 1]; /* NULL-terminated, borrowed from refused */
        const char **missing;                  /* NULL-terminated: mount points that are not on the pool */
        size_t n_missing;
        Health health;
        uint64_t used_bytes; /* of the pool; 0 if there is none */
} Now;

/* Fills now. Returns 0, or an error, which is logged. The caller calls now_done() in either case. */
int now_load(Now *now);

void now_done(Now *now);
