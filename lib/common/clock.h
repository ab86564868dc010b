/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Microseconds of CLOCK_MONOTONIC, and a bound for calls that block.
 *
 * Used in the boot, a renewal and a wipe. */

#include <stdint.h>

#define USEC_PER_SEC UINT64_C(1000000)

uint64_t now_usec(void);

/* Returns the microseconds since that time, which becomes the present one. */
uint64_t lap_usec(uint64_t *since);

/* Has the call after this one fail with EINTR if it takes longer than so many seconds, by SIGALRM; 0 ends
 * that. The signal comes again and again: one that comes before the call, as in a machine that was paused,
 * interrupts nothing. */
void interrupt_after(unsigned seconds);
