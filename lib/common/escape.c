/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "escape.h"

#include <ctype.h>

#include "text.h"

bool path_is_clean(const char *path) {
        _cleanup_free_ char *closed = text_format("%s/", path);

        for (const char *p = path; *p; p++)
                if ((unsigned char) *p < ' ' || *p == 0x7f)
                        return false;
        return streq(path, "/") || (path[0] == '/' && !strstr(closed, "//") && !strstr(closed, "/./") &&
                                    !strstr(closed, "/../"));
}

void path_simplify(char *path) {
        char *to = path, *rest = path;

        if (path[0] != '/')
                return;
        for (char *name; (name = strsep(&rest, "/"));) {
                size_t l = strlen(name);
                if (l == 0 || streq(name, "."))
                        continue;
                *to++ = '/';
                memmove(to, name, l);
                to += l;
        }
        strcpy(to, to == path ? "/" : "");
}

char *unit_name_from_path(const char *path, const char *suffix) {
        _cleanup_free_ char *name = NULL;
        size_t n = 0;

        if (!path_is_clean(path))
                return NULL;

        /* The first slash is not part of the name; root alone keeps its own, as "-". */
        const char *p = path[1] ? path + 1 : path;
        name = need_memory(malloc(strlen(p) * 4 + strlen(suffix) + 1));
        for (const char *start = p; *p; p++)
                if (*p == '/')
                        name[n++] = '-';
                else if (isalnum((unsigned char) *p) || *p == '_' || *p == ':' || (*p == '.' && p > start))
                        name[n++] = *p;
                else
                        n += sprintf(name + n, "\\x%02x", (unsigned char) *p);
        strcpy(name + n, suffix);
        return strlen(name) > 255 ? NULL : TAKE_PTR(name);
}

/* s with the character before[i] in front of each special[i]. */
static char *escape_with(const char *s, const char *special, const char *before) {
        char *e = need_memory(malloc(strlen(s) * 2 + 1)), *p = e;

        for (; *s; s++) {
                const char *hit = strchr(special, *s);
                if (hit)
                        *p++ = before[hit - special];
                *p++ = *s;
        }
        *p = 0;
        return e;
}

char *specifier_escape(const char *s) {
        return escape_with(s, "%", "%");
}

char *exec_escape(const char *s) {
        _cleanup_free_ char *e = escape_with(s, "%$\\\"", "%$\\\\");

        return text_format("\"%s\"", e);
}
