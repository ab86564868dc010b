/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "parse.h"

#include <ctype.h>
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
        suffix = *s ? strchr(suffixes, toupper((unsigned char) *s)) : NULL;
        if (suffix) {
                unit = KIB << (10 * (suffix - suffixes));
                s += strcasecmp(s + 1, "iB") == 0 ? strlen(s) : 1;
        }
        if (*s)
                return -EINVAL;
        if (__builtin_mul_overflow(n, unit, &n) || n > INT64_MAX)
                return -ERANGE;
        *ret = n;
        return 0;
}

/* Returns the seconds of the unit that *s begins with, and moves *s behind it; 1 if there is none, 0 if
 * nobody knows it. */
static uint64_t take_unit(const char **s) {
        static const struct {
                const char *names; /* with a blank on either side of each */
                uint64_t seconds;
        } units[] = {
                { " s sec second seconds ", 1 },
                { " m min minute minutes ", 60 },
                { " h hr hour hours ", 60 * 60 },
        };
        size_t l = strspn(*s, "abcdefghijklmnopqrstuvwxyz");
        char name[16];

        if (l == 0)
                return 1;
        snprintf(name, sizeof(name), " %.*s ", (int) l, *s);
        *s += l;
        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (strstr(units[i].names, name))
                        return units[i].seconds;
        return 0;
}

int parse_seconds(const char *s, uint64_t max, uint64_t *ret) {
        uint64_t total = 0, n, unit;
        int r;

        do {
                r = parse_digits(&s, max, &n);
                if (r < 0)
                        return r;
                s += strspn(s, " ");
                unit = take_unit(&s);
                if (unit == 0)
                        return -EINVAL;
                if (n > (max - total) / unit)
                        return -ERANGE;
                total += n * unit;
                s += strspn(s, " ");
        } while (*s);
        if (s[-1] == ' ')
                return -EINVAL;
        *ret = total;
        return 0;
}
