/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A device-mapper table read back: what is accepted says all that the text says. A word that is passed over
 * could be the one that gives the data away. */

#include <inttypes.h>
#include <sys/sysmacros.h>

#include "fuzz.h"
#include "table.h"

#define WORDS_MAX 72

/* Cuts text at its blanks. Returns the count of words, at most WORDS_MAX. */
static size_t split(char *text, char **words) {
        size_t n = 0;

        for (char *save, *w = strtok_r(text, " ", &save); w && n < WORDS_MAX; w = strtok_r(NULL, " ", &save))
                words[n++] = w;
        return n;
}

static size_t key_bits(const char *word) {
        return word[0] == ':' ? strtoul(word + 1, NULL, 10) * 8 : strlen(word) / 2 * 8;
}

static void check_words(const CryptTable *t, char **words, size_t n) {
        uint32_t sector_size = 512;
        bool discards = false;

        CHECK(n == 5 || n >= 6);
        CHECK(streq(t->cipher, words[0]) && t->cipher[0]);
        CHECK(t->key_size == key_bits(words[1]));
        CHECK(t->iv_offset == strtoull(words[2], NULL, 10));
        char *colon = strchr(words[3], ':');
        CHECK(colon);
        CHECK(t->device == makedev(strtoul(words[3], NULL, 10), strtoul(colon + 1, NULL, 10)));
        CHECK(t->offset == strtoull(words[4], NULL, 10));

        CHECK(n == 5 || strtoull(words[5], NULL, 10) == n - 6);
        for (size_t i = 6; i < n; i++) {
                const char *sector = startswith(words[i], "sector_size:");
                CHECK(sector || streq(words[i], "allow_discards"));
                if (sector)
                        sector_size = strtoul(sector, NULL, 10);
                else
                        discards = true;
        }
        CHECK(t->sector_size == sector_size && t->sector_size <= 4096);
        CHECK(t->allow_discards == discards);
}

/* The same table, written as the kernel writes it. The key is not in the struct, and never may be. */
static void check_again(const CryptTable *t) {
        CryptTable again = { .start = 4711 };
        char text[256];

        snprintf(text, sizeof(text),
                 "%s :%" PRIu32 ":logon:cryptsetup:x %" PRIu64 " %u:%u %" PRIu64
                 " %i%s sector_size:%" PRIu32,
                 t->cipher, t->key_size / 8, t->iv_offset, major(t->device), minor(t->device), t->offset,
                 t->allow_discards ? 2 : 1, t->allow_discards ? " allow_discards" : "", t->sector_size);
        CHECK(table_parse(text, &again) == 0);
        CHECK(!table_difference(t, &again));
}

static void check_crypt(const char *text) {
        _cleanup_free_ char *copy = strdup(text);
        char *words[WORDS_MAX] = {};
        CryptTable t = { .start = 4711 };

        CHECK(copy);
        int r = table_parse(text, &t);
        if (r < 0) {
                CHECK(r == -EINVAL && t.start == 4711);
                return;
        }
        CHECK(t.start == 0 && t.length == 0);
        check_words(&t, words, split(copy, words));
        check_again(&t);
}

/* Each word is one that is known, and its value is in the struct. */
static void check_integrity_words(const IntegrityTable *t, char **words, size_t n) {
        CHECK(n >= 5 && strtoull(words[4], NULL, 10) == n - 5);
        CHECK(strlen(words[3]) == 1 && t->mode == words[3][0]);
        for (size_t i = 5; i < n; i++) {
                const char *hash = startswith(words[i], "internal_hash:");
                CHECK(hash || startswith(words[i], "meta_device:") || startswith(words[i], "block_size:") ||
                      strstr(words[i], "_sectors:") || startswith(words[i], "fix_") ||
                      (streq(words[i], "allow_discards") && t->allow_discards));
                if (hash)
                        CHECK(t->key_size > 0 && t->hash[0]);
        }
}

/* The same table, written as the kernel writes it. */
static void check_integrity_again(const IntegrityTable *t) {
        IntegrityTable again = {};
        char text[512];
        int n;

        n = snprintf(text, sizeof(text),
                     "%u:%u %" PRIu64 " %" PRIu32 " %c %i%s meta_device:%u:%u block_size:%" PRIu32,
                     major(t->device), minor(t->device), t->offset, t->tag_size, t->mode,
                     2 + t->allow_discards + (t->key_size > 0), t->allow_discards ? " allow_discards" : "",
                     major(t->meta_device), minor(t->meta_device), t->sector_size);
        if (t->key_size > 0)
                snprintf(text + n, sizeof(text) - n, " internal_hash:%s:%0*i", t->hash,
                         (int) (t->key_size / 4 < 256 ? t->key_size / 4 : 256), 0);
        CHECK(table_parse_integrity(text, &again) == 0);
        if (t->key_size > 1024)
                again.key_size = t->key_size;
        CHECK(!table_integrity_difference(t, &again));
}

static void check_integrity(const char *text) {
        _cleanup_free_ char *copy = strdup(text);
        char *words[WORDS_MAX] = {};
        IntegrityTable t = { .tag_size = 4711 };

        CHECK(copy);
        int r = table_parse_integrity(text, &t);
        if (r < 0) {
                CHECK(r == -EINVAL && t.tag_size == 4711);
                return;
        }
        CHECK(t.number == 0 && t.start == 0 && t.length == 0);
        CHECK(t.offset <= INT64_MAX && t.tag_size <= 4096 && t.sector_size <= 4096);
        check_integrity_words(&t, words, split(copy, words));
        check_integrity_again(&t);
}

void fuzz_target(const char *text, size_t size) {
        check_crypt(text);
        check_integrity(text);
}
