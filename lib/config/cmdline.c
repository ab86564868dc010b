/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "cmdline.h"

#include "text.h"

#define WHITESPACE " \t\n\r"

bool cmdline_key_equal(const char *a, const char *b) {
        for (; *a && *b; a++, b++)
                if (*a != *b && !((*a == '-' || *a == '_') && (*b == '-' || *b == '_')))
                        return false;
        return *a == *b;
}

/* Copies the next word of *text to word, without its quotes, and moves *text behind it. Returns whether
 * there was one. word has room for all of *text. */
static bool next_word(const char **text, char *word) {
        const char *p = *text + strspn(*text, WHITESPACE);
        char quote = 0;

        if (!*p)
                return false;
        for (; *p && (quote || !strchr(WHITESPACE, *p)); p++)
                if (*p == quote)
                        quote = 0;
                else if (!quote && (*p == '"' || *p == '\''))
                        quote = *p;
                else
                        *word++ = *p;
        *word = 0;
        *text = p;
        return true;
}

void cmdline_parse(const char *text, cmdline_callback callback, void *userdata) {
        _cleanup_free_ char *word = text_copy(text);

        while (next_word(&text, word)) {
                char *value = strchr(word, '=');
                if (value)
                        *value++ = 0;
                callback(word, value, userdata);
        }
}
