/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What was asked for and is not taken: ccvm-scratch-generator writes it to /run/ccvm-scratch/refused, a line
 * for each, and ccvm-scratch(1) shows it. All strings are printable ASCII, however they came in.
 *
 * Used by the generator, at each of its runs, and by ccvm-scratch(1) at any time. */

#include "macro.h"

/* More than anybody reads; bounds what a file of garbage can make the generator write. */
#define REFUSALS_MAX 64

/* All strings are owned. */
typedef struct Refusal {
        char *key, *value; /* "" for what is no option */
        char *why;         /* with the place where it stands */
        char *path;        /* a mount point that is missing for it, or "" */
        unsigned list;     /* which list of mount points the path is of */
} Refusal;

typedef struct Refusals {
        Refusal entries[REFUSALS_MAX];
        size_t n;
        size_t n_parsed;   /* so many, the first, came by refusals_parse() */
        unsigned list;     /* number of the list of mount points that is being read */
        const char *where; /* what is being read, the first words of each reason; borrowed */
} Refusals;

/* Adds one, with other bytes as "\xNN", unless it is there already. path: "" if it is no mount point. When
 * there is no more room only a mount point still replaces the last one. */
void refusals_add(Refusals *r, const char *key, const char *value, const char *path, const char *format, ...)
        _printf_(5, 6);

/* Forgets the paths of lists before the current one, which has replaced them. */
void refusals_settle(Refusals *r);

/* Lists the paths in ret, borrowed, with a NULL behind the last. */
void refusals_list_paths(const Refusals *r, char *ret[static REFUSALS_MAX + 1]);

/* Formats one for people: "key=value (why)", or the reason alone. The caller frees it. */
char *refusal_to_string(const Refusal *r);

/* Formats all: key, value, reason and path of each in a line, with a tab between them. The caller frees it.
 */
char *refusals_format(const Refusals *r);

/* Adds those of such a text; in any other the bytes that are not printable become "?". */
void refusals_parse(Refusals *r, const char *text);

/* Adds those of the file at path, if there is one. The errors of file_read(). */
int refusals_load(Refusals *r, const char *path);

/* Copies s in printable ASCII, cut off where it is too long. The caller frees it. */
char *refusals_escape(const char *s);

void refusals_done(Refusals *r);
