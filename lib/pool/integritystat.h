/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What Integrity= costs and whether it works: its tags are in a device in RAM (lib/disk/tags.h), of which
 * sysfs tells. root goes before all paths, "" for the system's own.
 *
 * When: in the running guest, with the health and with each status. */

#include <stdint.h>

#include "macro.h"

/* Returns the bytes of RAM that the tags take; 0 if there are none. */
uint64_t integrity_tag_bytes(const char *root);

/* Tells whether a tag could not be kept, as there was no RAM for it, so that what was written with it
 * cannot be read; or whether ccvm-scratch-health.service has seen that a sector did not match. */
bool integrity_has_errors(const char *root);

/* Tells whether the CPU is known to have no instructions for SHA-256. */
bool integrity_is_slow(const char *root);
