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

static bool word_is(Word w, const char *wanted) {
        return w.size == strlen(wanted) && memcmp(w.text, wanted, w.size) == 0;
}

static bool positional_is(Word w, const char *wanted, size_t key_size) {
        if (streq(wanted, TABLE_KEY))
                return is_key(w, key_size);
        return word_is(w, wanted);
}

static bool has_option(const char *options, const char *wanted) {
        for (Word w = next_word(&options); w.size > 0; w = next_word(&options))
                if (word_is(w, wanted))
                        return true;
        return false;
}

/* Compares what follows the positional words: a count, unless it is 0 and left out, and as many options. */
static const char *options_difference(const Table *wanted, const char *p) {
        Word count = next_word(&p);
        size_t n_wanted = 0, n = 0;
        char number[24];

        for (size_t i = 0; i < ELEMENTSOF(wanted->options); i++) {
                if (!wanted->options[i])
                        continue;
                if (!has_option(p, wanted->options[i]))
                        return wanted->options[i];
                n_wanted++;
        }
        while (next_word(&p).size > 0)
                n++;
        (void) snprintf(number, sizeof(number), "%zu", n);
        if (n != n_wanted || (count.size > 0 && !word_is(count, number)))
                return "options";
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
                if (!positional_is(next_word(&p), wanted->positional[i], wanted->key_size))
                        return wanted->positional[i];
        return options_difference(wanted, p);
}
