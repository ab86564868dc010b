/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Microseconds of CLOCK_MONOTONIC, and a bound for calls that block. */

#include <signal.h>
#include <stdint.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define USEC_PER_SEC UINT64_C(1000000)

static inline uint64_t now_usec(void) {
        struct timespec ts = {};

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return ts.tv_sec * USEC_PER_SEC + ts.tv_nsec / 1000;
}

typedef struct Stopwatch {
        uint64_t start;
} Stopwatch;

static inline Stopwatch stopwatch_start(void) {
        return (Stopwatch) { now_usec() };
}

/* Microseconds since the start or the last lap. */
static inline uint64_t stopwatch_lap(Stopwatch *w) {
        uint64_t start = w->start;

        w->start = now_usec();
        return w->start - start;
}

static inline void on_alarm(int signal) {
}

/* The call after this one fails with EINTR if it takes longer; with 0 it does not any more. Again and again:
 * a signal that comes before the call, as in a machine that was paused, interrupts nothing. */
static inline void interrupt_after(unsigned seconds) {
        const struct sigaction action = { .sa_handler = on_alarm }; /* no SA_RESTART */
        const struct itimerval timer = { .it_interval.tv_sec = seconds, .it_value.tv_sec = seconds };

        (void) sigaction(SIGALRM, &action, NULL);
        (void) setitimer(ITIMER_REAL, &timer, NULL);
}
