/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "refusals.h"

#include <stdarg.h>

/* Bytes of each part of a line: REFUSALS_MAX lines of four are what is read of the file, 64 KiB. */
#define PART_MAX 240

/* s in printable ASCII, cut off where it is too long. The caller frees it. */
static char *escape(const char *s) {
        char *e = malloc(PART_MAX + sizeof("\\xff...")), *p = e;

        for (; e && *s; s++)
                if (p >= e + PART_MAX) {
                        p = stpcpy(p, "...");
                        break;
                } else if (*s >= ' ' && *s <= '~' && *s != '\\')
                        *p++ = *s;
                else
                        p += sprintf(p, "\\x%02x", (unsigned char) *s);
        if (e)
                *p = 0;
        return e;
}

/* Takes text over, and copies path. */
static int add(Refusals *r, char *text, const char *path) {
        _cleanup_free_ char *own = text, *copy = path ? strdup(path) : NULL;
        Refusal *found = NULL;

        if (!own || (path && !copy))
                return -ENOMEM;
        for (Refusal *e = r->entries; e < r->entries + r->n && !found; e++)
                if (streq(e->text, own))
                        found = e;
        if (!found && r->n < REFUSALS_MAX) {
                found = &r->entries[r->n++];
                *found = (Refusal) {};
        } else if (!found && path)
                found = &r->entries[REFUSALS_MAX - 1];
        if (!found || (found->path && !path))
                return 0;
        free(found->text);
        free(found->path);
        *found = (Refusal) { .text = TAKE_PTR(own), .path = TAKE_PTR(copy), .list = r->list };
        return 0;
}

int refusals_add(Refusals *r, const char *key, const char *value, const char *path, const char *format,
                 ...) {
        _cleanup_free_ char *k = escape(key), *v = escape(value), *p = path ? escape(path) : NULL,
                            *reason = NULL, *full = NULL, *why = NULL;
        char *text;
        va_list ap;

        va_start(ap, format);
        int n = vasprintf(&reason, format, ap);
        va_end(ap);
        if (n < 0 || asprintf(&full, "%s: %s", r->where, reason) < 0)
                return -ENOMEM;
        why = escape(full);
        if (!k || !v || !why || (path && !p) || asprintf(&text, "%s\t%s\t%s", k, v, why) < 0)
                return -ENOMEM;
        return add(r, text, p);
}

void refusals_settle(Refusals *r) {
        for (Refusal *e = r->entries; e < r->entries + r->n; e++)
                if (e->list != r->list)
                        free(TAKE_PTR(e->path));
}

int refusals_format(const Refusals *r, char **ret) {
        size_t size;
        FILE *f = open_memstream(ret, &size);

        if (!f)
                return -ENOMEM;
        for (const Refusal *e = r->entries; e < r->entries + r->n; e++)
                fprintf(f, "%s\t%s\n", e->text, e->path ?: "");
        return fclose(f) == 0 ? 0 : -ENOMEM;
}

int refusals_parse(Refusals *r, const char *text) {
        _cleanup_free_ char *copy = strdup(text);
        char *rest = copy;

        if (!copy)
                return -ENOMEM;
        for (char *line; (line = strsep(&rest, "\n"));) {
                char *path = strrchr(line, '\t');
                if (!path)
                        continue;
                *path++ = 0;
                if (add(r, strdup(line), *path ? path : NULL) < 0)
                        return -ENOMEM;
        }
        return 0;
}

void refusals_done(Refusals *r) {
        while (r->n > 0) {
                free(r->entries[--r->n].text);
                free(r->entries[r->n].path);
        }
}
