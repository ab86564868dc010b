/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One at a time: what makes, replaces or takes away the pool takes the same lock, for the life of the
 * process or until lock_release(). */

#include <stdint.h>

/* Waits for whoever has it, for at most this many microseconds. 0 also where there is nothing yet to be
 * locked; -EBUSY, or the errors of open(2). */
int lock_take(uint64_t patience_usec);

void lock_release(void);
