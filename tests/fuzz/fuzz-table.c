/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A device-mapper table compared with what was asked for: each of its words was asked for, and each word
 * that was asked for is there. A word that is passed over could be the one that gives the data away. */

#include "fuzz.h"
#include "table.h"

#define WORDS_MAX 10

static const Table wanted = {
        .type = "crypt",
        .key_size = 64,
        .positional = { "aes-xts-plain64", TABLE_KEY, "0", "254:16", "2048" },
        .options = { "sector_size:4096", "allow_discards" },
};

/* Cuts text at its blanks. Returns the count of words, at most WORDS_MAX. */
static size_t split(char *text, char **words) {
        size_t n = 0;

        for (char *save, *w = strtok_r(text, " ", &save); w && n < WORDS_MAX; w = strtok_r(NULL, " ", &save))
                words[n++] = w;
        return n;
}

static bool is_key(const char *word, size_t size) {
        char *end;

        if (word[0] == ':')
                return strtoul(word + 1, &end, 10) == size && end[0] == ':' && end[1];
        return strlen(word) == 2 * size;
}

static bool has(char **words, size_t n, const char *option) {
        for (size_t i = 0; i < n; i++)
                if (streq(words[i], option))
                        return true;
        return false;
}

void fuzz_target(const char *text, size_t size) {
        const Target t = { .type = wanted.type, .params = text };
        _cleanup_free_ char *copy = strdup(text);
        const char *difference = table_difference(&wanted, &t);
        char *words[WORDS_MAX] = {};
        size_t n;

        CHECK(copy);
        n = split(copy, words);
        if (difference) {
                CHECK(difference[0]);
                return;
        }
        CHECK(n == 8);
        for (size_t i = 0; i < 5; i++)
                CHECK(i == 1 ? is_key(words[i], wanted.key_size) : streq(words[i], wanted.positional[i]));
        CHECK(streq(words[5], "2"));
        for (size_t i = 0; i < 2; i++)
                CHECK(has(words + 6, 2, wanted.options[i]));
}
