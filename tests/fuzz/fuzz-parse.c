/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Booleans, numbers, sizes and times, against strtoull(3) and wider arithmetic. */

#include <ctype.h>
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
        const char *suffix = *end ? strchr(suffixes, toupper((unsigned char) *end)) : NULL;
        bool good = text[0] >= '0' && text[0] <= '9' &&
                    (!*end || (suffix && (!end[1] || strcasecmp(end + 1, "ib") == 0)));
        for (const char *s = suffixes; suffix && s <= suffix; s++)
                unit = s == suffixes ? 1024 : unit * 1024;
        uint64_t expected;
        bool large = __builtin_mul_overflow(number, unit, &expected) || expected > INT64_MAX;

        if (r < 0) {
                CHECK(n == 4711);
                CHECK(r == -EINVAL || r == -ERANGE);
                CHECK(!good || errno == ERANGE || large);
                return;
        }
        CHECK(good && errno == 0);
        CHECK(n == expected && !large);

        snprintf(bytes, sizeof(bytes), "%" PRIu64, n);
        CHECK(parse_size(bytes, 1, &again) == 0 && again == n);
}

/* What is taken adds up with a second before it and behind it, and has no unit that is less than that. */
static void check_seconds(const char *text, uint64_t max) {
        _cleanup_free_ char *before = NULL, *behind = NULL;
        uint64_t n = 4711, again;
        size_t l = strlen(text);
        int r = parse_seconds(text, max, &n);

        if (r < 0) {
                CHECK(n == 4711 && (r == -EINVAL || r == -ERANGE));
                return;
        }
        CHECK(n <= max && strspn(text, "0123456789 cdehimnorstu") == l);
        CHECK(isdigit((unsigned char) text[0]) && text[l - 1] != ' ');
        CHECK(asprintf(&before, "1second%s", text) > 0 && asprintf(&behind, "%s 1", text) > 0);
        r = parse_seconds(before, max, &again);
        CHECK(n == max ? r == -ERANGE : r == 0 && again == n + 1);
        r = parse_seconds(behind, max, &again);
        CHECK(n == max ? r == -ERANGE : r == 0 && again == n + 1);
        if (strspn(text, "0123456789") == l)
                CHECK(n == strtoull(text, NULL, 10));
}

void fuzz_target(const char *text, size_t size) {
        static const uint64_t limits[] = { 0, 3, 100, 3600, UINT32_MAX - 1, INT64_MAX, UINT64_MAX };
        static const uint64_t sizes[] = { 1, KIB, GIB, UINT64_C(1) << 63 };

        check_boolean(text);
        for (size_t i = 0; i < ELEMENTSOF(limits); i++) {
                check_unsigned(text, limits[i]);
                check_seconds(text, limits[i]);
        }
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++)
                check_size(text, sizes[i]);
}
