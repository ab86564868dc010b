/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "fuzz.h"

#include <stdarg.h>

#include "log.h"

/* As common/log.c cuts it. */
#define LOG_TEXT_MAX 700

void fuzz_fail(const char *file, int line, const char *condition) {
        fprintf(stderr, "%s:%i: does not hold: %s\n", file, line, condition);
        abort();
}

/* Instead of common/log.c's: says nothing. A warning ends in what happens instead, so none may be cut. */
int log_full(int level, int error, const char *format, ...) {
        char text[LOG_TEXT_MAX];
        va_list ap;

        va_start(ap, format);
        int n = vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        CHECK(n >= 0 && n < LOG_TEXT_MAX);
        return -abs(error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        /* Exactly as large as the text, so that a read behind its end shows. */
        _cleanup_free_ char *text = malloc(size + 1);

        CHECK(text);
        if (size > 0)
                memcpy(text, data, size);
        text[size] = 0;
        fuzz_target(text, size);
        return 0;
}
