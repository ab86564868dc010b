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
        uint32_t sector_size = 512, tag_size = 0;
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
                const char *sector = startswith(words[i], "sector_size:"),
                           *tag = startswith(words[i], "integrity:");
                CHECK(sector || (tag && strstr(tag, ":aead")) || streq(words[i], "allow_discards"));
                if (sector)
                        sector_size = strtoul(sector, NULL, 10);
                else if (tag)
                        tag_size = strtoul(tag, NULL, 10);
                else
                        discards = true;
        }
        CHECK(t->tag_size == tag_size);
        CHECK(t->sector_size == sector_size && t->sector_size <= 4096);
        CHECK(t->allow_discards == discards);
}

/* The same table, written as the kernel writes it. The key is not in the struct, and never may be. */
static void check_again(const CryptTable *t) {
        CryptTable again = { .start = 4711 };
        char text[256];

        snprintf(text, sizeof(text),
                 "%s :%" PRIu32 ":logon:cryptsetup:x %" PRIu64 " %u:%u %" PRIu64 " %i%s integrity:%" PRIu32
                 ":aead sector_size:%" PRIu32,
                 t->cipher, t->key_size / 8, t->iv_offset, major(t->device), minor(t->device), t->offset,
                 t->allow_discards ? 3 : 2, t->allow_discards ? " allow_discards" : "", t->tag_size,
                 t->sector_size);
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

static void check_integrity(const char *text) {
        IntegrityTable t = { .tag_size = 4711 }, again;
        char start[128];

        int r = table_parse_integrity(text, &t);
        if (r < 0) {
                CHECK(r == -EINVAL && t.tag_size == 4711);
                return;
        }
        CHECK(t.number == 0 && t.offset <= INT64_MAX && t.tag_size <= 4096);
        snprintf(start, sizeof(start), "%u:%u %" PRIu64 " %" PRIu32 " D 0", major(t.device), minor(t.device),
                 t.offset, t.tag_size);
        CHECK(table_parse_integrity(start, &again) == 0);
        CHECK(again.device == t.device && again.offset == t.offset && again.tag_size == t.tag_size);
}

void fuzz_target(const char *text, size_t size) {
        check_crypt(text);
        check_integrity(text);
}
