/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What was asked for and is not taken: for /run/ccvm-scratch/refused, by which ccvm-scratch(1) tells of it.
 * Names and values come from outside; here they are printable ASCII, a byte that is none as "\xNN". */

#include "macro.h"

/* More than anybody reads; bounds what a file of garbage can make the generator write. */
#define REFUSALS_MAX 64

typedef struct Refusal {
        char *text;    /* owned: key, value and reason, with a tab between them */
        char *path;    /* owned: a mount point that is not there for it; NULL if it is none */
        unsigned list; /* which list of mount points the path is of */
} Refusal;

typedef struct Refusals {
        Refusal entries[REFUSALS_MAX];
        size_t n;
        unsigned list;     /* of mount points, counted */
        const char *where; /* what is being read, the first words of each reason; borrowed */
} Refusals;

/* Adds one. key: "" for what is no option; path: NULL if it is no mount point. One that is there already is
 * not added twice. When there is no more room only a mount point still replaces the last one. -ENOMEM. */
int refusals_add(Refusals *r, const char *key, const char *value, const char *path, const char *format, ...)
        _printf_(5, 6);

/* Forgets the paths of lists before the current one, which it has replaced. */
void refusals_settle(Refusals *r);

/* One on a line: the text, and behind a tab the path, which may be empty. The caller frees it. -ENOMEM. */
int refusals_format(const Refusals *r, char **ret);

/* Adds those of such a text. -ENOMEM. */
int refusals_parse(Refusals *r, const char *text);

void refusals_done(Refusals *r);
