/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The kernel command line, split and compared as systemd does it (kernel-command-line(7)): words at white
 * space, double or single quotes group, and in a key "-" and "_" are the same.
 *
 * Used by the generator, at each of its runs, and by ccvm-scratch(1) at any time. */

#include "macro.h"

/* Called for each word: key, and value behind the first "=", or NULL where there is none; both are valid
 * during the call only. */
typedef void (*cmdline_callback)(const char *key, const char *value, void *userdata);

/* Walks the words of text. A missing closing quote ends at the end of the text, as in systemd's relaxed
 * parsing. */
void cmdline_parse(const char *text, cmdline_callback callback, void *userdata);

/* Whether two keys are the same, "-" and "_" counting as one character. */
bool cmdline_key_equal(const char *a, const char *b);
