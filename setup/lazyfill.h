/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A device that is filled from the start, and of which only what is written takes the time and the RAM: for
 * the tags of a large disk (tags.h). A snapshot, whose origin is one small piece over and over. */

#include <stdint.h>
#include <sys/types.h>

#include "parse.h"

/* Bytes of the piece, which the caller fills, at the start of the device that is given. */
#define LAZYFILL_PIECE (4 * MIB)

/* The size that a device has to have for size bytes, which is a multiple of the piece. */
uint64_t lazyfill_size(uint64_t size);

/* Makes the mapping over the device with this number, and gives its number. What the kernel says; then none
 * of it is left. */
int lazyfill_make(dev_t device, uint64_t size, dev_t *ret);

/* Takes it away, also if an earlier process has made it; 0 also if there is none. */
int lazyfill_remove(void);

/* The same with its last user. */
int lazyfill_remove_later(void);
