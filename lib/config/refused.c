/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "refused.h"

#include "fileio.h"
#include "parse.h"

#define TEXT_MAX (64 * KIB)

static size_t count_lines(const char *text) {
        size_t n = 1;

        while ((text = strchr(text, '\n'))) {
                n++;
                text++;
        }
        return n;
}

/* The next field of a line, in place, without what could move a cursor or is no text; "" behind the last. */
static char *next_field(char **line) {
        static char none[] = "";
        char *field = *line ? strsep(line, "\t") : none;

        for (char *p = field; *p; p++)
                if (*p < ' ' || *p > '~')
                        *p = '?';
        return field;
}

int refused_parse(char *text, Refused *ret) {
        size_t lines = count_lines(text), paths = 0;
        char *rest = text;

        *ret = (Refused) {
                .text = text,
                .entries = calloc(lines, sizeof(RefusedOption)),
                .paths = calloc(lines + 1, sizeof(char *)),
        };
        if (!ret->entries || !ret->paths)
                return -ENOMEM;
        for (char *line; (line = strsep(&rest, "\n"));) {
                if (!*line)
                        continue;
                RefusedOption *e = &ret->entries[ret->n++];
                e->key = next_field(&line);
                e->value = next_field(&line);
                e->why = next_field(&line);
                char *path = next_field(&line);
                if (*path == '/')
                        ret->paths[paths++] = path;
        }
        return 0;
}

int refused_load(const char *path, Refused *ret) {
        char *text;
        int r;

        *ret = (Refused) {};
        r = file_read(path, TEXT_MAX, &text);
        if (r == -ENOENT)
                return 0;
        return r < 0 ? r : refused_parse(text, ret);
}

void refused_done(Refused *r) {
        free(r->text);
        free(r->entries);
        free(r->paths);
        *r = (Refused) {};
}
