/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Configuration files: where they are (UAPI.6 configuration files specification) and what is in them
 * (systemd.syntax(7)). Read line by line, so that a line which is none costs itself and nothing else.
 *
 * Used by the generator, at each of its runs, by ccvm-scratch-setup at each start, and by ccvm-scratch(1)
 * at any time. */

#include "macro.h"

/* Called for each assignment: the section that it is in ("" before the first), key and value, all valid
 * during the call only; line counts from 1. For a line that is neither section, assignment nor comment key
 * is NULL, and value says what is wrong with it. */
typedef void (*conffile_callback)(unsigned line, const char *section, const char *key, const char *value,
                                  void *userdata);

/* Walks the lines of text. White space around keys and values, and one pair of quotes around a value, are no
 * part of them; a backslash at the end of a line joins it with the next. */
void conffile_parse(const char *text, conffile_callback callback, void *userdata);

/* The files that make up the configuration name ("x.conf"), below root ("" is the system's own), in the
 * order in which they are to be read: of /etc, /run, /usr/local/lib and /usr/lib the first name that is
 * there, then name.d/ *.conf of all four by file name, of equal names the first. A name that a link to
 * /dev/null masks is among them, and reads as empty. What is there and cannot be looked at, be it a
 * directory of drop-ins, is in the list too: to read it fails. NULL-terminated; the caller frees it by
 * conffile_free(). */
char **conffile_find(const char *root, const char *name);

void conffile_free(char **paths);

DEFINE_TRIVIAL_CLEANUP_FUNC(char **, conffile_free)
