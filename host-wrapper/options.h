/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Options and environment, validated. An option wins over its variable, that over the default.
 *
 * Used on the host, before QEMU starts. */

#include "image.h"

/* Strings live as long as the process. */
typedef struct Options {
        ImageRequest image; /* size 0: no disk */
        bool lock_memory, require_encrypted;
        const char *status_file; /* what the guest reports goes there; NULL: nowhere */
        const char *seed;        /* the directory of the marker file; NULL: none */
        char *const *command;    /* NULL-terminated, not empty */
} Options;

/* 1: there is something to do; 0: --help or --version has been printed; -errno, logged: then, too,
 * ret->status_file is what was given. */
int options_parse(int argc, char **argv, Options *ret);
