/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Text that is put together of other text, for the caller to free. There is always memory for it: a program
 * that gets none is ended (abort(3)), as the kernel does, which kills a process rather than refuse it a few
 * kilobytes. Whoever starts these programs is prepared for their death: the fallback, a failed unit.
 *
 * Used by the generator, at each of its runs, and by ccvm-scratch-setup and ccvm-scratch(1) for the
 * options. */

#include <stdarg.h>

#include "macro.h"

/* Returns p, unless it is NULL: of malloc(3) and its like. */
void *need_memory(void *p);

char *text_copy(const char *s);
char *text_format(const char *format, ...) _printf_(1, 2);
char *text_vformat(const char *format, va_list ap) _printf_(1, 0);

/* Appends to *text, which is freed, and to which NULL is an empty one. */
void text_append(char **text, const char *format, ...) _printf_(2, 3);
