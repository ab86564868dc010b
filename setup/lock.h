/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The lock of whatever makes, replaces or takes away the pool; held for the life of the process, or until
 * lock_release(). */

#include <stdint.h>

/* Takes the lock, and waits for it at most so many microseconds. 0 also where there is nothing to be locked
 * yet; -EBUSY, or the errors of open(2). */
int lock_take(uint64_t patience_usec);

void lock_release(void);
