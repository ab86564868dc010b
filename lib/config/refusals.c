/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "refusals.h"

#include <stdarg.h>

#include "fileio.h"
#include "parse.h"

/* Bytes of each part of a line: REFUSALS_MAX lines of four are less than what is read of the file. */
#define PART_MAX 240
#define TEXT_MAX (64 * KIB)

char *refusals_escape(const char *s) {
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

static void refusal_done(Refusal *e) {
        free(e->key);
        free(e->value);
        free(e->why);
        free(e->path);
        *e = (Refusal) {};
}

static bool is_same(const Refusal *a, const Refusal *b) {
        return streq(a->key, b->key) && streq(a->value, b->value) && streq(a->why, b->why);
}

/* Takes e over, whose strings may be NULL for want of memory. */
static int add(Refusals *r, Refusal *e) {
        _cleanup_(refusal_done) Refusal own = *e;
        Refusal *to = r->entries;

        if (!own.key || !own.value || !own.why || !own.path)
                return -ENOMEM;
        own.list = r->list;
        while (to < r->entries + r->n && !is_same(to, &own))
                to++;
        if (to == r->entries + REFUSALS_MAX && own.path[0])
                to--;
        if (to == r->entries + REFUSALS_MAX)
                return 0;
        if (to == r->entries + r->n)
                r->n++;
        else if (to->path[0] && !own.path[0])
                return 0;
        refusal_done(to);
        *to = own;
        own = (Refusal) {};
        return 0;
}

int refusals_add(Refusals *r, const char *key, const char *value, const char *path, const char *format,
                 ...) {
        _cleanup_free_ char *reason = NULL, *full = NULL;
        va_list ap;

        va_start(ap, format);
        int n = vasprintf(&reason, format, ap);
        va_end(ap);
        if (n < 0 || asprintf(&full, "%s: %s", r->where, reason) < 0)
                return -ENOMEM;
        return add(r, &(Refusal) { .key = refusals_escape(key),
                                   .value = refusals_escape(value),
                                   .why = refusals_escape(full),
                                   .path = refusals_escape(path) });
}

void refusals_settle(Refusals *r) {
        for (Refusal *e = r->entries; e < r->entries + r->n; e++)
                if (e->list != r->list)
                        e->path[0] = 0;
}

void refusals_list_paths(const Refusals *r, char *ret[static REFUSALS_MAX + 1]) {
        for (const Refusal *e = r->entries; e < r->entries + r->n; e++)
                if (e->path[0] == '/')
                        *ret++ = e->path;
        *ret = NULL;
}

char *refusal_to_string(const Refusal *r) {
        char *text;

        return asprintf(&text, r->key[0] ? "%s%s%s (%s)" : "%s%s%s%s", r->key, r->value[0] ? "=" : "",
                        r->value, r->why) < 0
                       ? NULL
                       : text;
}

int refusals_format(const Refusals *r, char **ret) {
        size_t size;
        FILE *f = open_memstream(ret, &size);

        if (!f)
                return -ENOMEM;
        for (const Refusal *e = r->entries; e < r->entries + r->n; e++)
                fprintf(f, "%s\t%s\t%s\t%s\n", e->key, e->value, e->why, e->path);
        return fclose(f) == 0 ? 0 : -ENOMEM;
}

/* Copies the next field of a line, "" behind the last, without what could move a cursor or is no text. */
static char *next_field(char **line) {
        char *field = *line ? strdup(strsep(line, "\t")) : strdup("");

        for (char *p = field; p && *p; p++)
                if (*p < ' ' || *p > '~')
                        *p = '?';
        return field;
}

int refusals_parse(Refusals *r, const char *text) {
        _cleanup_free_ char *copy = strdup(text);
        char *rest = copy;

        if (!copy)
                return -ENOMEM;
        for (char *line; (line = strsep(&rest, "\n"));) {
                Refusal e = {};

                if (!*line)
                        continue;
                e.key = next_field(&line);
                e.value = next_field(&line);
                e.why = next_field(&line);
                e.path = next_field(&line);
                if (add(r, &e) < 0)
                        return -ENOMEM;
        }
        r->n_parsed = r->n;
        return 0;
}

int refusals_load(Refusals *r, const char *path) {
        _cleanup_free_ char *text = NULL;
        int e;

        e = file_read(path, TEXT_MAX, &text);
        if (e == -ENOENT)
                return 0;
        return e < 0 ? e : refusals_parse(r, text);
}

void refusals_done(Refusals *r) {
        while (r->n > 0)
                refusal_done(&r->entries[--r->n]);
}
