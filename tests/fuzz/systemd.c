/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "systemd.h"

#include "fuzz.h"

#define ALNUM "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define HEX "0123456789abcdef"
#define BLANK " \t\n\r"

bool systemd_unit_name_is_valid(const char *s) {
        size_t l = strlen(s);

        return l > 0 && l <= 255 && strspn(s, ALNUM ":-_.\\") == l;
}

/* The character behind "\x", or -1. */
static int from_hex(const char *s) {
        const char *high = s[0] ? strchr(HEX, s[0]) : NULL, *low = high && s[1] ? strchr(HEX, s[1]) : NULL;

        return low ? (int) ((high - (HEX)) * 16 + (low - (HEX))) : -1;
}

char *systemd_unescape_path(const char *name, size_t n) {
        _cleanup_free_ char *copy = strndup(name, n), *path = malloc(n + 2);
        const char *s = copy;

        CHECK(copy && path);
        if (streq(copy, "-"))
                return strdup("/");
        char *p = path;
        for (*p++ = '/'; *s; p++)
                if (*s == '-') {
                        *p = '/';
                        s++;
                } else if (*s == '\\') {
                        int c = s[1] == 'x' ? from_hex(s + 2) : -1;
                        if (c <= 0)
                                return NULL;
                        *p = (char) c;
                        s += 4;
                } else
                        *p = *s++;
        *p = 0;
        return TAKE_PTR(path);
}

char *systemd_expand_specifiers(const char *s) {
        _cleanup_free_ char *text = strdup(s);

        CHECK(text);
        char *p = text;
        for (; *s; s++) {
                if (*s == '%' && *++s != '%')
                        return NULL;
                *p++ = *s;
        }
        *p = 0;
        return TAKE_PTR(text);
}

/* Variables are expanded last. Only "$$" is text. */
static char *expand_variables(const char *s) {
        _cleanup_free_ char *text = strdup(s);

        CHECK(text);
        char *p = text;
        for (; *s; s++) {
                if (*s == '$' && *++s != '$')
                        return NULL;
                *p++ = *s;
        }
        *p = 0;
        return TAKE_PTR(text);
}

/* Escapes as in systemd.syntax(7), of which only those of quotes and the backslash itself are taken. */
static char *unquote(const char **line) {
        _cleanup_free_ char *word = strdup(*line);
        const char *s = *line;
        char quote = 0, *p = word;

        CHECK(word);
        for (; *s && (quote || !strchr(BLANK, *s)); s++)
                if (*s == '\\') {
                        s++;
                        if (!*s || !strchr("\\\"'", *s))
                                return NULL;
                        *p++ = *s;
                } else if (quote ? *s == quote : *s == '"' || *s == '\'')
                        quote = quote ? 0 : *s;
                else
                        *p++ = *s;
        if (quote)
                return NULL;
        *p = 0;
        *line = s;
        return TAKE_PTR(word);
}

char *systemd_next_argument(const char **line) {
        _cleanup_free_ char *word = NULL, *expanded = NULL;

        *line += strspn(*line, BLANK);
        if (!**line)
                return NULL;
        word = unquote(line);
        expanded = word ? systemd_expand_specifiers(word) : NULL;
        return expanded ? expand_variables(expanded) : NULL;
}

char *systemd_next_cmdline_word(const char **line) {
        const char *s = *line;
        _cleanup_free_ char *word = NULL;
        size_t n = 0;

        while (*s && strchr(BLANK, *s))
                s++;
        if (!*s)
                return NULL;
        word = malloc(strlen(s) + 1);
        CHECK(word);

        /* Piece by piece: up to a quote, then up to the same one again. */
        for (;;) {
                size_t l = strcspn(s, BLANK "\"'");
                memcpy(word + n, s, l);
                n += l;
                s += l;
                if (*s != '"' && *s != '\'')
                        break;
                const char *end = strchrnul(s + 1, *s);
                memcpy(word + n, s + 1, end - s - 1);
                n += end - s - 1;
                s = *end ? end + 1 : end;
        }
        word[n] = 0;
        *line = s;
        return TAKE_PTR(word);
}
