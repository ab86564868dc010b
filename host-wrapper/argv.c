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
static int argv_take(Argv *a, char *s) {
        _cleanup_free_ char *owned = s;
        char **v;

        if (!s)
                return -ENOMEM;
        v = reallocarray(a->v, a->n + 2, sizeof(char *));
        if (!v)
                return -ENOMEM;
        a->v = v;
        v[a->n] = TAKE_PTR(owned);
        v[++a->n] = NULL;
        return 0;
}

int argv_extend(Argv *a, char *const *args) {
        int r;

        for (; *args; args++) {
                r = argv_take(a, strdup(*args));
                if (r < 0)
                        return r;
        }
        return 0;
}

int argv_addf(Argv *a, const char *format, ...) {
        char *s = NULL;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&s, format, ap);
        va_end(ap);
        return argv_take(a, n < 0 ? NULL : s);
}

int argv_add_many(Argv *a, ...) {
        const char *arg;
        va_list ap;
        int r = 0;

        va_start(ap, a);
        while (r >= 0 && (arg = va_arg(ap, const char *)))
                r = argv_take(a, strdup(arg));
        va_end(ap);
        return r;
}
