/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "table.h"

typedef struct Word {
        const char *text; /* goes on behind the word */
        size_t size;      /* 0: there is none */
} Word;

/* Moves *p behind its next word. */
static Word next_word(const char **p) {
        Word w = { .text = *p + strspn(*p, " ") };

        w.size = strcspn(w.text, " ");
        *p = w.text + w.size;
        return w;
}

/* ":64:logon:cryptsetup:…" names a key of 64 bytes in a keyring; else it is the key itself. */
static bool is_key(Word w, size_t key_size) {
        char prefix[24];
        size_t l = snprintf(prefix, sizeof(prefix), ":%zu:", key_size);

        if (w.size > l && startswith(w.text, prefix))
                return true;
        return w.size == 2 * key_size && strspn(w.text, "0123456789abcdefABCDEF") >= w.size;
}

static bool word_is(Word w, const char *wanted, size_t key_size) {
        const char *key = strstr(wanted, TABLE_KEY);
        size_t l = key ? (size_t) (key - wanted) : strlen(wanted);

        if (w.size < l || memcmp(w.text, wanted, l) != 0)
                return false;
        return key ? is_key((Word) { w.text + l, w.size - l }, key_size) : w.size == l;
}

static bool is_option(Word w, const Table *wanted) {
        for (size_t i = 0; i < ELEMENTSOF(wanted->options); i++)
                if (wanted->options[i] && word_is(w, wanted->options[i], wanted->key_size))
                        return true;
        return false;
}

static bool has_option(const char *options, const char *wanted, size_t key_size) {
        for (Word w = next_word(&options); w.size > 0; w = next_word(&options))
                if (word_is(w, wanted, key_size))
                        return true;
        return false;
}

/* Compares what follows the positional words: a count, unless it is 0 and left out, and as many options. */
static const char *options_difference(const Table *wanted, const char *p) {
        Word count = next_word(&p);
        const char *options = p;
        char number[24];
        size_t n = 0;

        for (Word w = next_word(&p); w.size > 0; w = next_word(&p), n++)
                if (!is_option(w, wanted))
                        return "options";
        (void) snprintf(number, sizeof(number), "%zu", n);
        if (count.size > 0 && !word_is(count, number, 0))
                return "options";
        for (size_t i = 0; i < ELEMENTSOF(wanted->options); i++)
                if (wanted->options[i] && !has_option(options, wanted->options[i], wanted->key_size))
                        return wanted->options[i];
        return NULL;
}

const char *table_difference(const Table *wanted, const Target *actual) {
        const char *p = actual->params;

        if (!streq(actual->type, wanted->type))
                return wanted->type;
        if (actual->start != 0)
                return "start";
        if (actual->length != wanted->length)
                return "length";
        for (size_t i = 0; i < ELEMENTSOF(wanted->positional); i++)
                if (wanted->positional[i] &&
                    !word_is(next_word(&p), wanted->positional[i], wanted->key_size))
                        return wanted->positional[i];
        return options_difference(wanted, p);
}
