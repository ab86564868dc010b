/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The guest's report: one line, the text of its status.json. It comes out of a VM that may be hostile, so
 * nothing of it is believed but two words out of fixed lists, and nothing is shown but those.
 *
 * Why not sd-json: the host's floor is systemd 252, which has none, and a reader that only has to say yes or
 * no is small. Pure functions of the text. */

#include "macro.h"

/* Longest line, in bytes without its newline. The guest's is about 600. */
#define REPORT_LINE_MAX 4096U

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

/* Reads a line of length bytes. 0; -EBADMSG if it is not exactly one JSON object (RFC 8259) in valid UTF-8,
 * without control characters and not nested too deep, with a known "state" and a known or null "reason";
 * -E2BIG. */
int report_parse(const char *line, size_t length, Report *ret);

/* What to tell people, without a newline: "guest fell back to RAM: device-timeout". NULL if all is well. ret
 * is for the caller to free. 0 or -ENOMEM. */
int report_describe(const Report *report, char **ret);
