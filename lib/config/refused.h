/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What was asked for and not taken: /run/ccvm-scratch/refused, by ccvm-scratch-generator(8). A line for
 * each: key, value, why, and a mount point that is missing for it, with a tab between them. */

#include "macro.h"

/* Borrowed from the text. Where there is none of them: "". */
typedef struct RefusedOption {
        const char *key, *value, *why;
} RefusedOption;

typedef struct Refused {
        char *text;
        RefusedOption *entries;
        size_t n;
        char **paths; /* NULL-terminated, borrowed: the mount points; NULL if there are none */
} Refused;

/* Takes text over. Whatever is in it, the strings that come out are printable ASCII. -ENOMEM. The caller
 * calls refused_done(), also after an error. */
int refused_parse(char *text, Refused *ret);

/* Reads the file at path; one that is not there has nothing. The errors of file_read(), -ENOMEM. */
int refused_load(const char *path, Refused *ret);

void refused_done(Refused *r);
