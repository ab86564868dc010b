/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* status.json: what was read is written as it was, on one line, and the host reads the same out of it. */

#include "fuzz.h"
#include "report.h"
#include "status.h"

/* The host refuses what could move a cursor; the JSON writer escapes only some of that. */
static bool is_printable(const char *s) {
        for (; *s; s++)
                if (*s < ' ' || *s > '~')
                        return false;
        return true;
}

static void check_host(const Status *s, const char *line, size_t length) {
        const char *reason = reason_to_string(s->reason);
        Report report;

        int r = report_parse(line, length, &report);
        if (r < 0) {
                CHECK(length > REPORT_LINE_MAX ? r == -E2BIG : strlen(line) != length + 1);
                return;
        }
        CHECK(report.state == (s->state == STATE_ENCRYPTED ? REPORT_ENCRYPTED
                               : s->state == STATE_TMPFS   ? REPORT_TMPFS
                               : s->state == STATE_NONE    ? REPORT_NONE
                                                           : REPORT_OFF));
        CHECK(reason ? report.reason && streq(report.reason, reason) : !report.reason);
}

void fuzz_target(const char *text, size_t size) {
        _cleanup_(status_done) Status s = {}, again = {};
        _cleanup_free_ char *line = NULL, *line_again = NULL;

        int r = status_parse(text, &s);
        if (r < 0) {
                CHECK(r == -EINVAL);
                return;
        }
        CHECK(s.state >= 0 && s.state < _STATE_MAX && state_to_string(s.state));
        CHECK(s.reason >= 0 && s.reason < _REASON_MAX);

        CHECK(status_format(&s, &line) == 0);
        size_t l = strcspn(line, "\n");
        CHECK(streq(line + l, "\n"));
        CHECK(status_parse(line, &again) == 0);
        CHECK(status_format(&again, &line_again) == 0);
        CHECK(streq(line, line_again));

        line[l] = 0;
        if (is_printable(line))
                check_host(&s, line, l);
}
