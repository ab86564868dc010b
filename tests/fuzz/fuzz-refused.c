/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What was refused: whatever it is, the generator writes one line for it, which reads as it was written, and
 * what ccvm-scratch(1) takes out of any text is printable. */

#include "fuzz.h"
#include "refusals.h"

static void check_printable(const char *s) {
        for (; *s; s++)
                CHECK(*s >= ' ' && *s <= '~');
}

static void check_parsed(const char *text) {
        _cleanup_(refusals_done) Refusals r = {};
        char *paths[REFUSALS_MAX + 1];

        refusals_parse(&r, text);
        for (size_t i = 0; i < r.n; i++) {
                _cleanup_free_ char *all = refusal_to_string(&r.entries[i]);
                check_printable(all);
        }
        refusals_list_paths(&r, paths);
        for (char **p = paths; *p; p++) {
                CHECK(**p == '/');
                check_printable(*p);
        }
}

static void check_written(const char *text) {
        _cleanup_(refusals_done) Refusals refusals = { .where = text }, again = {};
        _cleanup_free_ char *path = NULL, *line = NULL, *line_again = NULL;
        const Refusal *e = again.entries;

        CHECK(asprintf(&path, "/%s", text) >= 0);
        refusals_add(&refusals, text, text, path, "%s", text);
        line = refusals_format(&refusals);
        refusals_parse(&again, line);
        CHECK(again.n == 1);
        CHECK(streq(e->key, e->value) && e->path[0] == '/');
        CHECK(startswith(e->path + 1, e->key) || strlen(e->path) > 240);
        line_again = refusals_format(&again);
        CHECK(streq(line, line_again));
}

void fuzz_target(const char *text, size_t size) {
        check_parsed(text);
        check_written(text);
}
