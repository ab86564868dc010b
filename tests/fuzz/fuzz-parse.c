/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Booleans, numbers and sizes, against strtoull(3) and wider arithmetic. */

#include <inttypes.h>

#include "fuzz.h"
#include "parse.h"

static void check_boolean(const char *text) {
        int b = parse_boolean(text);

        CHECK(b == 0 || b == 1 || b == -EINVAL);
        if (b < 0)
                return;
        const char *words = b ? " 1 yes y true t on " : " 0 no n false f off ";
        CHECK(text[0] && !strpbrk(text, " ") && strcasestr(words, text));
}

/* Digits and nothing else, or no number. */
static void check_unsigned(const char *text, uint64_t max) {
        bool digits = text[0] && strspn(text, "0123456789") == strlen(text);
        uint64_t n = 4711;
        int r = parse_unsigned(text, max, &n);

        errno = 0;
        uint64_t expected = strtoull(text, NULL, 10);
        if (r == 0) {
                CHECK(digits && errno == 0);
                CHECK(n == expected && n <= max);
                return;
        }
        CHECK(n == 4711);
        CHECK(r == -EINVAL ? !digits : r == -ERANGE);
        if (digits)
                CHECK(errno == ERANGE || expected > max);
}

static void check_size(const char *text, uint64_t unit) {
        static const char suffixes[] = "KMGT";
        uint64_t n = 4711, again;
        char *end, bytes[32];

        int r = parse_size(text, unit, &n);
        errno = 0;
        uint64_t number = strtoull(text, &end, 10);
        const char *suffix = *end ? strchr(suffixes, *end) : NULL;
        bool good = text[0] >= '0' && text[0] <= '9' && (!*end || (suffix && !end[1]));
        for (const char *s = suffixes; suffix && s <= suffix; s++)
                unit = s == suffixes ? 1024 : unit * 1024;
        unsigned __int128 expected = (unsigned __int128) number * unit;

        if (r < 0) {
                CHECK(n == 4711);
                CHECK(r == -EINVAL || r == -ERANGE);
                CHECK(!good || errno == ERANGE || expected > INT64_MAX);
                return;
        }
        CHECK(good && errno == 0);
        CHECK(n == expected && n <= INT64_MAX);

        snprintf(bytes, sizeof(bytes), "%" PRIu64, n);
        CHECK(parse_size(bytes, 1, &again) == 0 && again == n);
}

void fuzz_target(const char *text, size_t size) {
        static const uint64_t limits[] = { 0, 3, 100, 3600, UINT32_MAX - 1, INT64_MAX, UINT64_MAX };
        static const uint64_t sizes[] = { 1, KIB, GIB, UINT64_C(1) << 63 };

        check_boolean(text);
        for (size_t i = 0; i < ELEMENTSOF(limits); i++)
                check_unsigned(text, limits[i]);
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++)
                check_size(text, sizes[i]);
}
