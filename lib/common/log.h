/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Log lines for programs that the service manager starts, and for those that people start.
 *
 * Under the service manager a line goes to stderr with a "<N>" priority prefix (sd-daemon(3)); a generator
 * calls log_to_kmsg(), because its stderr is not the journal; in a terminal a line is "program: text".
 *
 * Used by all programs, whenever they run. */

#include <syslog.h>

#include "macro.h"

/* name: what stands before each line; borrowed, kept for the life of the process. Reads $JOURNAL_STREAM. */
void log_setup(const char *name);

/* Sends what follows to /dev/kmsg, if that can be opened; stays as it is otherwise. */
void log_to_kmsg(void);

/* Writes one line at the syslog priority level. error, if not 0, is a negative or positive errno whose text
 * is appended. Returns -abs(error), so that "return log_error_errno(r, …)" works. */
int log_full(int level, int error, const char *format, ...) _printf_(3, 4);

#define log_info(...) ((void) log_full(LOG_INFO, 0, __VA_ARGS__))
#define log_warning(...) ((void) log_full(LOG_WARNING, 0, __VA_ARGS__))
#define log_error(...) ((void) log_full(LOG_ERR, 0, __VA_ARGS__))
#define log_warning_errno(error, ...) log_full(LOG_WARNING, error, __VA_ARGS__)
#define log_error_errno(error, ...) log_full(LOG_ERR, error, __VA_ARGS__)
#define log_oom() log_full(LOG_ERR, ENOMEM, "Out of memory")
