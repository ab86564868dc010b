/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "parse.h"

#include <strings.h>

int parse_boolean(const char *s) {
        static const char *const words[][2] = {
                { "0", "1" },        { "no", "yes" }, { "n", "y" },
                { "false", "true" }, { "f", "t" },    { "off", "on" },
        };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                for (int b = 0; b <= 1; b++)
                        if (strcasecmp(s, words[i][b]) == 0)
                                return b;
        return -EINVAL;
}

/* Reads digits up to the first other character, which *s then points to. */
static int parse_digits(const char **s, uint64_t max, uint64_t *ret) {
        const char *p = *s;
        uint64_t n = 0;

        if (*p < '0' || *p > '9')
                return -EINVAL;
        for (; *p >= '0' && *p <= '9'; p++) {
                uint64_t digit = *p - '0';
                if (digit > max || n > (max - digit) / 10)
                        return -ERANGE;
                n = n * 10 + digit;
        }
        *s = p;
        *ret = n;
        return 0;
}

int parse_unsigned(const char *s, uint64_t max, uint64_t *ret) {
        uint64_t n;
        int r;

        r = parse_digits(&s, max, &n);
        if (r < 0)
                return r;
        if (*s)
                return -EINVAL;
        *ret = n;
        return 0;
}

int parse_size(const char *s, uint64_t unit, uint64_t *ret) {
        static const struct {
                char suffix;
                uint64_t bytes;
        } suffixes[] = { { 'K', KIB }, { 'M', MIB }, { 'G', GIB }, { 'T', TIB } };
        uint64_t n;
        int r;

        r = parse_digits(&s, INT64_MAX, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++)
                if (*s == suffixes[i].suffix) {
                        unit = suffixes[i].bytes;
                        s++;
                        break;
                }
        if (*s)
                return -EINVAL;
        if (__builtin_mul_overflow(n, unit, &n) || n > INT64_MAX)
                return -ERANGE;
        *ret = n;
        return 0;
}
