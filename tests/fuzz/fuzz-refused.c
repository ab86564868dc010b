/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What was refused: whatever it is, the generator writes one line for it, which reads as it was written, and
 * what ccvm-scratch(1) takes out of any text is printable. */

#include "fuzz.h"
#include "refusals.h"
#include "refused.h"

static void check_printable(const char *s) {
        for (; *s; s++)
                CHECK(*s >= ' ' && *s <= '~');
}

static void check_parsed(const char *text) {
        _cleanup_(refused_done) Refused r = {};

        CHECK(refused_parse(strdup(text), &r) == 0);
        for (size_t i = 0; i < r.n; i++) {
                check_printable(r.entries[i].key);
                check_printable(r.entries[i].value);
                check_printable(r.entries[i].why);
        }
        for (char **p = r.paths; *p; p++) {
                CHECK(**p == '/');
                check_printable(*p);
        }
}

static void check_written(const char *text) {
        _cleanup_(refusals_done) Refusals refusals = { .where = text }, again = {};
        _cleanup_free_ char *path = NULL, *line = NULL, *line_again = NULL;
        _cleanup_(refused_done) Refused r = {};

        CHECK(asprintf(&path, "/%s", text) >= 0);
        CHECK(refusals_add(&refusals, text, text, path, "%s", text) == 0);
        CHECK(refusals_format(&refusals, &line) == 0);
        CHECK(refused_parse(strdup(line), &r) == 0 && r.n == 1);
        CHECK(streq(r.entries[0].key, r.entries[0].value) && r.paths[0] && !r.paths[1]);
        CHECK(startswith(r.paths[0] + 1, r.entries[0].key) || strlen(r.paths[0]) > 240);

        CHECK(refusals_parse(&again, line) == 0 && refusals_format(&again, &line_again) == 0);
        CHECK(streq(line, line_again));
}

void fuzz_target(const char *text, size_t size) {
        check_parsed(text);
        check_written(text);
}
