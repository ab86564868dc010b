/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "clock.h"

#include <signal.h>
#include <sys/time.h>
#include <time.h>

uint64_t now_usec(void) {
        struct timespec ts = {};

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return ts.tv_sec * USEC_PER_SEC + ts.tv_nsec / 1000;
}

uint64_t lap_usec(uint64_t *since) {
        uint64_t start = *since;

        *since = now_usec();
        return *since - start;
}

static void on_alarm(int signal) {
}

void interrupt_after(unsigned seconds) {
        const struct sigaction action = { .sa_handler = on_alarm }; /* no SA_RESTART */
        const struct itimerval timer = { .it_interval.tv_sec = seconds, .it_value.tv_sec = seconds };

        (void) sigaction(SIGALRM, &action, NULL);
        (void) setitimer(ITIMER_REAL, &timer, NULL);
}
