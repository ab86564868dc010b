/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Text from outside on its way into unit files: systemd exports no library for these. Checked against
 * systemd-escape(1) in the tests.
 *
 * Used by the generator, in the initrd and in the real root. */

#include "macro.h"

/* Whether path is absolute, normalized (no "//", "/./", "/../", no trailing slash but "/" itself) and free
 * of control characters. */
bool path_is_clean(const char *path);

/* Takes out of an absolute path what systemd's path_simplify() does: repeated slashes, one at its end, and
 * "." between them. A relative one stays. */
void path_simplify(char *path);

/* The unit name for a clean path, as "systemd-escape --path" makes it, with suffix (".mount") appended; root
 * is "-". The caller frees it; NULL if the path is not clean or the name too long for a unit (255). */
char *unit_name_from_path(const char *path, const char *suffix);

/* s with each % doubled, so that systemd.unit(5) specifiers in it stay text. The caller frees it. */
char *specifier_escape(const char *s);

/* s as one word of ExecStart= or Environment=: in double quotes, with backslash, quote, $ and % escaped
 * (systemd.service(5), "Command lines"). s must be free of control characters. The caller frees it. */
char *exec_escape(const char *s);
