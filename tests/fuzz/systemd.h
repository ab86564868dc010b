/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What systemd makes of text, for comparison: written anew from its man pages and from extract_first_word(),
 * and on purpose not the way common/ does it. */

#include "macro.h"

/* Whether s is made only of what a unit name may have, and short enough (systemd.unit(5)). */
bool systemd_unit_name_is_valid(const char *s);

/* The path that the first n characters of a unit name stand for, as "systemd-escape --unescape --path". The
 * caller frees it; NULL if they are no escaped path. */
char *systemd_unescape_path(const char *name, size_t n);

/* s with its specifiers expanded, of which only "%%" is taken. The caller frees it; NULL if there is another
 * one. */
char *systemd_expand_specifiers(const char *s);

/* The next word of an ExecStart= line, as the program gets it: quotes and escapes removed, specifiers and
 * variables expanded. Moves *line behind it. The caller frees it; NULL if there is none, or one that holds
 * anything but text. */
char *systemd_next_argument(const char **line);

/* The next word of the kernel command line: quotes removed, a missing one added, no escapes. Moves *line
 * behind it. The caller frees it; NULL if there is none. */
char *systemd_next_cmdline_word(const char **line);
