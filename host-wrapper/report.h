/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The guest's report: one line, "STATE" or "STATE REASON", at each boot, soft-reboot and wipe. It comes out
 * of a VM that may be hostile, so nothing of it is believed, shown or written but two words out of fixed
 * lists. Pure functions of the text. */

#include <time.h>

#include "macro.h"

/* Longest line, in bytes without its newline. */
#define REPORT_LINE_MAX 64U

typedef enum ReportState {
        REPORT_ENCRYPTED,
        REPORT_TMPFS,
        REPORT_NONE,
        REPORT_OFF,
} ReportState;

typedef struct Report {
        ReportState state;
        const char *reason; /* one of the guest's documented reasons, static; NULL: none */
} Report;

/* Reads a line of length bytes. 0, or -EBADMSG if it is anything but known words with one blank between. */
int report_parse(const char *line, size_t length, Report *ret);

/* What to tell people, without a newline: "guest fell back to RAM: device-timeout". NULL if all is well. ret
 * is for the caller to free. 0 or -ENOMEM. */
int report_describe(const Report *report, char **ret);

/* The status file's text: one line of JSON. boots: how many boots of this VM have reported. ret is for the
 * caller to free. 0 or -ENOMEM. */
int report_format(const Report *report, unsigned boots, time_t when, char **ret);
