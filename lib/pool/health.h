/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether the pool still keeps what is written to it: by what the kernel has counted and noted since the
 * boot. Nothing is asked of the disk, which may not answer.
 *
 * When: in the running guest, by ccvm-scratch-health.service again and again, and with each status. */

#include "status.h"

typedef enum Health {
        HEALTH_OK,
        HEALTH_ERRORS,    /* writes or the file system have failed: what was written may be lost */
        HEALTH_READ_ONLY, /* and the file system takes no writes any more */
        HEALTH_GONE,      /* the disk is not there any more, or the file system has shut itself down */
        _HEALTH_MAX,
} Health;

const char *health_to_string(Health h);

/* Judges the pool that s tells of; one in RAM is always well. root goes before all paths, "" for the
 * system's own. */
Health health_read(const char *root, const Status *s);

/* Returns the bytes of RAM that the tags of Integrity= take, in a device of their own (lib/disk/tags.h), of
 * which sysfs tells; 0 if there are none. */
uint64_t integrity_tag_bytes(const char *root);

/* Tells whether the CPU is known to have no instructions for SHA-256. */
bool integrity_is_slow(const char *root);
