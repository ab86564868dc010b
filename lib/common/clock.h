/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Microseconds of CLOCK_MONOTONIC, and a bound for calls that block. */

#include <stdint.h>

#define USEC_PER_SEC UINT64_C(1000000)

uint64_t now_usec(void);

typedef struct Stopwatch {
        uint64_t start;
} Stopwatch;

Stopwatch stopwatch_start(void);

/* Microseconds since the start or the last lap. */
uint64_t stopwatch_lap(Stopwatch *w);

/* Has the call after this one fail with EINTR if it takes longer than so many seconds, by SIGALRM; 0 ends
 * that. The signal comes again and again: one that comes before the call, as in a machine that was paused,
 * interrupts nothing. */
void interrupt_after(unsigned seconds);
