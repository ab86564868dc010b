/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "argv.h"

#include <stdarg.h>

void argv_done(Argv *a) {
        for (size_t i = 0; i < a->n; i++)
                free(a->v[i]);
        free(a->v);
        *a = (Argv) {};
}

/* Takes s over in any case, and takes NULL for "out of memory". */
static void take(Argv *a, char *s) {
        _cleanup_free_ char *owned = s;
        char **v = s && !a->error ? reallocarray(a->v, a->n + 2, sizeof(char *)) : NULL;

        if (!v) {
                a->error = -ENOMEM;
                return;
        }
        a->v = v;
        v[a->n++] = TAKE_PTR(owned);
        v[a->n] = NULL;
}

void argv_extend(Argv *a, char *const *args) {
        for (; *args; args++)
                take(a, strdup(*args));
}

void argv_add_many(Argv *a, ...) {
        const char *arg;
        va_list ap;

        va_start(ap, a);
        while ((arg = va_arg(ap, const char *)))
                take(a, strdup(arg));
        va_end(ap);
}

void argv_addf(Argv *a, const char *format, ...) {
        char *s = NULL;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&s, format, ap);
        va_end(ap);
        take(a, n < 0 ? NULL : s);
}
