/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "text.h"

void *need_memory(void *p) {
        if (!p)
                abort();
        return p;
}

char *text_copy(const char *s) {
        return need_memory(strdup(s));
}

char *text_vformat(const char *format, va_list ap) {
        char *text = NULL;

        return need_memory(vasprintf(&text, format, ap) < 0 ? NULL : text);
}

char *text_format(const char *format, ...) {
        char *text;
        va_list ap;

        va_start(ap, format);
        text = text_vformat(format, ap);
        va_end(ap);
        return text;
}

void text_append(char **text, const char *format, ...) {
        _cleanup_free_ char *before = *text, *more = NULL;
        va_list ap;

        va_start(ap, format);
        more = text_vformat(format, ap);
        va_end(ap);
        *text = text_format("%s%s", before ?: "", more);
}
