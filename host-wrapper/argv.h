/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A growable argument vector. Every string in it is owned by it; the vector is always NULL-terminated. */

#include "macro.h"

typedef struct Argv {
        char **v;
        size_t n;
} Argv;

void argv_done(Argv *a);

/* Appends copies of all arguments of a NULL-terminated vector. 0 or -ENOMEM, and a is then unchanged or
 * longer. */
int argv_extend(Argv *a, char *const *args);

/* Appends one argument, as printf(3) writes it. 0 or -ENOMEM. */
int argv_addf(Argv *a, const char *format, ...) _printf_(2, 3);

/* Appends copies of the arguments up to NULL. 0 or -ENOMEM. */
int argv_add_many(Argv *a, ...) _sentinel_;
#define argv_add(a, ...) argv_add_many(a, __VA_ARGS__, NULL)
