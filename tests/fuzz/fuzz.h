/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What every fuzz target has: one function, called again and again with text from outside. With -Dfuzz=true
 * libFuzzer makes the text up; in an ordinary build replay.c takes it from the files of a corpus. */

#include <stdint.h>

#include "macro.h"

/* Tries one input: text of size bytes, with a NUL behind it and perhaps others in it; borrowed. Ends the
 * process where a property does not hold. */
void fuzz_target(const char *text, size_t size);

/* As assert(3), in every build. */
#define CHECK(condition)                                           \
        do {                                                       \
                if (!(condition))                                  \
                        fuzz_fail(__FILE__, __LINE__, #condition); \
        } while (false)

_Noreturn void fuzz_fail(const char *file, int line, const char *condition);

/* libFuzzer's entry point; replay.c calls it too. Always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
