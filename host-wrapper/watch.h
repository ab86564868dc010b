/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What hears the guest's reports, for as long as the VMM lives, and what tells of them: a line on stderr,
 * the status file. It runs in one of two places: in a small process beside the VMM (watch_beside()), or in
 * the VMM's parent (supervise.h) where something has to be true when the VMM has ended. */

#include "report.h"

typedef struct WatchConfig {
        const char *status_file; /* each report is written there, atomically; NULL: nowhere */
        bool require_encrypted;  /* another state, or none in time, is the end of the VM */
        int timeout_sec;         /* of the first report, and of the next one after a reset */
        bool quiet;              /* nobody reads stderr: the VMM has left its caller (-daemonize) */
} WatchConfig;

typedef struct Watch {
        const WatchConfig *config;
        int socket_fd;     /* borrowed: our end of the stream socket to the guest's port */
        char *status_path; /* of status_file, from the root; NULL: none */
        char line[REPORT_LINE_MAX];
        size_t used;           /* bytes in line */
        unsigned lines;        /* received, good or bad */
        unsigned boots;        /* reported */
        bool skipping;         /* the rest of a line that is too long */
        bool complained;       /* of nonsense */
        bool waiting;          /* for a report, until: */
        time_t deadline;       /* seconds of CLOCK_BOOTTIME */
        const char *otherwise; /* what is said then; NULL: nothing */
        bool not_encrypted;    /* what require_encrypted is about has come true */
} Watch;

/* Finds the place of the status file, and removes an old one: whoever waits for it must not read of
 * another VM. Logs what it cannot do. 0 or -errno. */
int watch_open(const WatchConfig *config, int socket_fd, Watch *ret);
void watch_done(Watch *w);

/* A report is due from now on, within timeout_sec; or the VM's end, within so many seconds. otherwise: what
 * is said when nothing comes, static. */
void watch_expect(Watch *w);
void watch_expect_within(Watch *w, int sec, const char *otherwise);

/* The VM has ended, and no report has come. */
void watch_never_heard(Watch *w);

/* Milliseconds until watch_expire() has something to do, for poll(2); -1: for ever. */
int watch_remaining_msec(const Watch *w);
void watch_expire(Watch *w);

/* Reads what is there and does not wait: more than 0; less: nothing is; 0: the other end is closed. */
ssize_t watch_read(Watch *w);

/* For a process beside: stdin and stdout become these two (out_fd negative: /dev/null), with quiet stderr
 * /dev/null. No other descriptor, session, terminal or directory of the caller's is left. */
void watch_let_go(int in_fd, int out_fd, bool quiet, const char *name);

/* Starts the process that does all of this beside the VMM: a grandchild in a session of its own, with
 * nothing open but what it needs. It ends when the VMM's end of the socket closes, however the VMM dies.
 * Logs what it cannot do. 0 or -errno. */
int watch_beside(Watch *w);
