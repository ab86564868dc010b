/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A device-mapper table compared with what was asked for: each of its words was asked for, and each word
 * that was asked for is there. A word that is passed over could be the one that gives the data away. */

#include "fuzz.h"
#include "table.h"

#define WORDS_MAX 72

static const Table crypt_4096 = {
        .type = "crypt",
        .key_size = 64,
        .positional = { "aes-xts-plain64", TABLE_KEY, "0", "254:16", "2048" },
        .options = { "sector_size:4096", "allow_discards" },
};

static const Table integrity = {
        .type = "integrity",
        .key_size = 4,
        .positional = { "254:16", "0", "16", "D" },
        .options = { "meta_device:252:4", "block_size:4096", "internal_hash:hmac(sha256):" TABLE_KEY,
                     "allow_discards" },
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

/* Whether word is the wanted one, by reading it in another way than the comparison does. */
static bool is(const char *word, const char *wanted, size_t key_size) {
        size_t l = strlen(wanted), k = strlen(TABLE_KEY);

        if (l < k || !streq(wanted + l - k, TABLE_KEY))
                return streq(word, wanted);
        return strncmp(word, wanted, l - k) == 0 && is_key(word + l - k, key_size);
}

static size_t count(char **words, size_t n, const char *wanted, size_t key_size) {
        size_t found = 0;

        for (size_t i = 0; i < n; i++)
                found += is(words[i], wanted, key_size);
        return found;
}

static void check_match(const Table *wanted, char **words, size_t n) {
        size_t k = 0, known = 0;

        for (; k < ELEMENTSOF(wanted->positional) && wanted->positional[k]; k++)
                CHECK(k < n && is(words[k], wanted->positional[k], wanted->key_size));
        CHECK(k == n || strtoul(words[k], NULL, 10) == n - k - 1);
        words += k + 1;
        n = n > k ? n - k - 1 : 0;
        for (size_t i = 0; i < ELEMENTSOF(wanted->options) && wanted->options[i]; i++) {
                size_t found = count(words, n, wanted->options[i], wanted->key_size);
                CHECK(found > 0);
                known += found;
        }
        CHECK(known == n);
}

static void check(const Table *wanted, const char *text) {
        const Target t = { .type = wanted->type, .params = text };
        _cleanup_free_ char *copy = strdup(text);
        const char *difference = table_difference(wanted, &t);
        char *words[WORDS_MAX] = {};

        CHECK(copy);
        if (difference)
                CHECK(difference[0]);
        else
                check_match(wanted, words, split(copy, words));
}

void fuzz_target(const char *text, size_t size) {
        check(&crypt_4096, text);
        check(&integrity, text);
}
