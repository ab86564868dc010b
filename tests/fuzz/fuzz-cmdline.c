/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The kernel command line: the words are those that systemd would see. */

#include "cmdline.h"
#include "fuzz.h"
#include "systemd.h"

typedef struct Walk {
        const char *rest;      /* of the text, for the other parser */
        char previous[32 + 1]; /* key */
} Walk;

static void check_keys(const char *a, const char *b) {
        char x[sizeof(((Walk *) 0)->previous)], y[sizeof(x)];

        if (strlen(a) >= sizeof(x) || strlen(b) >= sizeof(y))
                return;
        strcpy(x, a);
        strcpy(y, b);
        for (char *p = x; (p = strchr(p, '_'));)
                *p = '-';
        for (char *p = y; (p = strchr(p, '_'));)
                *p = '-';
        CHECK(cmdline_key_equal(a, b) == streq(x, y));
        CHECK(cmdline_key_equal(b, a) == streq(x, y));
}

static void on_word(const char *key, const char *value, void *userdata) {
        _cleanup_free_ char *word = NULL;
        Walk *w = userdata;

        word = systemd_next_cmdline_word(&w->rest);
        CHECK(word);
        char *equals = strchr(word, '=');
        if (equals)
                *equals = 0;
        CHECK(streq(key, word));
        CHECK(equals ? value && streq(value, equals + 1) : !value);

        check_keys(key, w->previous);
        CHECK(cmdline_key_equal(key, key));
        snprintf(w->previous, sizeof(w->previous), "%s", key);
}

void fuzz_target(const char *text, size_t size) {
        Walk w = { .rest = text };

        cmdline_parse(text, on_word, &w);
        CHECK(!systemd_next_cmdline_word(&w.rest));
}
