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
        char *end;

        if (**s < '0' || **s > '9') /* a blank or a sign, which strtoull() takes too */
                return -EINVAL;
        errno = 0;
        uint64_t n = strtoull(*s, &end, 10);
        if (errno != 0 || n > max)
                return -ERANGE;
        *s = end;
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
        static const char suffixes[] = "KMGT";
        const char *suffix;
        uint64_t n;
        int r;

        r = parse_digits(&s, INT64_MAX, &n);
        if (r < 0)
                return r;
        suffix = *s ? strchr(suffixes, *s) : NULL;
        if (suffix) {
                unit = KIB << (10 * (suffix - suffixes));
                s++;
        }
        if (*s)
                return -EINVAL;
        if (__builtin_mul_overflow(n, unit, &n) || n > INT64_MAX)
                return -ERANGE;
        *ret = n;
        return 0;
}
