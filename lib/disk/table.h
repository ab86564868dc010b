/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The device-mapper table of a mapping, compared word by word with what was asked for. It is what is really
 * in force, whatever a header says: after a match what was asked for is what the kernel has.
 *
 * Used right after each activation, in the boot and in a renewal. Pure functions of the text, in which the
 * key may be: nothing of it is copied or kept. */

#include <stdint.h>

#include "macro.h"

/* Stands for the key, in hex, or as the kernel names one of a keyring. */
#define TABLE_KEY "<key>"

/* The one target that a mapping is to have. All is borrowed. */
typedef struct Table {
        const char *type;          /* "crypt" */
        uint64_t length;           /* sectors of 512 bytes, from the first of the mapping on */
        size_t key_size;           /* bytes */
        const char *positional[5]; /* the words in their order */
        const char *options[2];    /* those that follow a count of them, in any order; NULL: not asked for */
} Table;

/* One target as the kernel has it; borrowed from a libdevmapper task. */
typedef struct Target {
        uint64_t start, length; /* sectors of 512 bytes */
        const char *type, *params;
} Target;

/* Compares a target with what was asked for. Returns NULL if they are the same; else the first wanted word
 * that is not there, or "start", "length" or "options" (others than those that were asked for). */
const char *table_difference(const Table *wanted, const Target *actual);
