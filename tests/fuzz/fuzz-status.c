/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* status.json: what was read is written as it was, and on one line. */

#include "fuzz.h"
#include "status.h"

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
}
