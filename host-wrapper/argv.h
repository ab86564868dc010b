/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A growable argument vector. Every string in it is owned by it; the vector is always NULL-terminated. What
 * goes wrong on the way is kept, and nothing is added any more: to be asked for once, at the end. */

#include "macro.h"

typedef struct Argv {
        char **v;
        size_t n;
        int error; /* 0 or -ENOMEM */
} Argv;

void argv_done(Argv *a);

/* Appends copies of all arguments of a NULL-terminated vector; those up to a final NULL; one as printf(3)
 * writes it. */
void argv_extend(Argv *a, char *const *args);
void argv_add_many(Argv *a, ...) _sentinel_;
#define argv_add(a, ...) argv_add_many(a, __VA_ARGS__, NULL)
void argv_addf(Argv *a, const char *format, ...) _printf_(2, 3);
