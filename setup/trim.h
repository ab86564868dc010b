/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Giving back to the host what is free in the pool, while it is in use. */

#include "status.h"

/* Notes that the host has nothing of what is free now, as the disk was discarded before it was formatted.
 * Errors are of no consequence. */
void trim_note_all(void);

/* Discards what is free in the pool of s, if anything was freed or written since the last time; and,
 * whatever the file system does by itself, if not all of the disk was discarded before. In bounded time:
 * the next call goes on where this one has come to. Logs its errors. */
void trim_pool(const Status *s);
