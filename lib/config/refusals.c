/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "refusals.h"

#include "fileio.h"
#include "parse.h"
#include "text.h"

/* Bytes of each part of a line: REFUSALS_MAX lines of four are less than what is read of the file. */
#define PART_MAX 240
#define TEXT_MAX (64 * KIB)

char *refusals_escape(const char *s) {
        char *e = need_memory(malloc(PART_MAX + sizeof("\\xff..."))), *p = e;

        for (; *s && p < e + PART_MAX; s++)
                if (*s >= ' ' && *s <= '~' && *s != '\\')
                        *p++ = *s;
                else
                        p += sprintf(p, "\\x%02x", (unsigned char) *s);
        strcpy(p, *s ? "..." : "");
        return e;
}

static void refusal_done(Refusal *e) {
        free(e->key);
        free(e->value);
        free(e->why);
        free(e->path);
}

static bool is_same(const Refusal *a, const Refusal *b) {
        return streq(a->key, b->key) && streq(a->value, b->value) && streq(a->why, b->why);
}

/* Finds where e goes: in the place of one that it repeats, behind the last, or if there is no room, and it
 * has a path, in the place of the last. NULL if it is left out. */
static Refusal *find_place(Refusals *r, const Refusal *e) {
        Refusal *to = r->entries, *end = r->entries + r->n;

        while (to < end && !is_same(to, e))
                to++;
        if (to < end)
                return !to->path[0] || e->path[0] ? to : NULL;
        if (r->n < REFUSALS_MAX) {
                *to = (Refusal) {};
                r->n++;
                return to;
        }
        return e->path[0] ? end - 1 : NULL;
}

/* Takes e over. */
static void add(Refusals *r, Refusal e) {
        Refusal *to = find_place(r, &e);

        e.list = r->list;
        refusal_done(to ?: &e);
        if (to)
                *to = e;
}

void refusals_add(Refusals *r, const char *key, const char *value, const char *path, const char *format,
                  ...) {
        _cleanup_free_ char *reason = NULL, *full = NULL;
        va_list ap;

        va_start(ap, format);
        reason = text_vformat(format, ap);
        va_end(ap);
        full = text_format("%s: %s", r->where, reason);
        add(r, (Refusal) { .key = refusals_escape(key),
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
        return text_format(r->key[0] ? "%s%s%s (%s)" : "%s%s%s%s", r->key, r->value[0] ? "=" : "", r->value,
                           r->why);
}

char *refusals_format(const Refusals *r) {
        char *text = text_copy("");

        for (const Refusal *e = r->entries; e < r->entries + r->n; e++)
                text_append(&text, "%s\t%s\t%s\t%s\n", e->key, e->value, e->why, e->path);
        return text;
}

/* Copies the next field of a line, "" behind the last, without what could move a cursor or is no text. */
static char *next_field(char **line) {
        char *field = text_copy(*line ? strsep(line, "\t") : "");

        for (char *p = field; *p; p++)
                if (*p < ' ' || *p > '~')
                        *p = '?';
        return field;
}

void refusals_parse(Refusals *r, const char *text) {
        _cleanup_free_ char *copy = text_copy(text);
        char *rest = copy;

        for (char *line; (line = strsep(&rest, "\n"));) {
                Refusal e = {};

                if (!*line)
                        continue;
                e.key = next_field(&line);
                e.value = next_field(&line);
                e.why = next_field(&line);
                e.path = next_field(&line);
                add(r, e);
        }
        r->n_parsed = r->n;
}

int refusals_load(Refusals *r, const char *path) {
        _cleanup_free_ char *text = NULL;
        int e;

        e = file_read(path, TEXT_MAX, &text);
        if (e >= 0)
                refusals_parse(r, text);
        return e == -ENOENT ? 0 : e;
}

void refusals_done(Refusals *r) {
        while (r->n > 0)
                refusal_done(&r->entries[--r->n]);
}
