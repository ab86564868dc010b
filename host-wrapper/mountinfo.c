/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "mountinfo.h"

#include "file.h"

void mount_done(Mount *m) {
        free(m->line);
        *m = (Mount) {};
}

/* The fields are: ID, parent, major:minor, root, target, options, optional ones up to "-", type, source,
 * superblock options. Cuts the line that m owns into them. */
static int split_line(Mount *m) {
        char *fields[3] = {}, *p = m->line;
        int r;

        r = sscanf(p, "%d %*d %u:%u", &m->id, &m->major, &m->minor);
        if (r != 3)
                return -EBADMSG;
        for (size_t i = 0; i < 4; i++)
                strsep(&p, " ");
        m->target = strsep(&p, " ");
        p = p ? strstr(p, " - ") : NULL;
        if (!p)
                return -EBADMSG;
        p += strlen(" - ");
        for (size_t i = 0; i < ELEMENTSOF(fields); i++)
                fields[i] = strsep(&p, " ");
        if (!fields[2])
                return -EBADMSG;

        m->type = fields[0];
        m->source = fields[1];
        m->options = fields[2];
        file_unescape(m->target);
        file_unescape(m->source);
        return 0;
}

/* Parses the line that starts at text. */
static int parse_line(const char *text, Mount *ret) {
        _cleanup_(mount_done) Mount m = {};
        int r;

        m.line = strndup(text, strcspn(text, "\n"));
        if (!m.line)
                return -ENOMEM;
        r = split_line(&m);
        if (r < 0)
                return r;
        *ret = m;
        m = (Mount) {};
        return 0;
}

static const char *next_line(const char *line) {
        line += strcspn(line, "\n");
        return *line ? line + 1 : line;
}

int mountinfo_find_id(const char *text, int id, Mount *ret) {
        for (const char *line = text; *line; line = next_line(line))
                if (atoi(line) == id)
                        return parse_line(line, ret);
        return -ENOENT;
}

static bool path_is_below(const char *path, const char *dir) {
        const char *rest = startswith(path, dir);

        return (streq(dir, "/") && rest) || (rest && (*rest == '\0' || *rest == '/'));
}

int mountinfo_find_path(const char *text, const char *path, Mount *ret) {
        const char *found = NULL;
        size_t length = 0;
        int r;

        for (const char *line = text; *line; line = next_line(line)) {
                _cleanup_(mount_done) Mount m = {};

                r = parse_line(line, &m);
                if (r == -ENOMEM)
                        return r;
                if (r < 0 || !path_is_below(path, m.target) || strlen(m.target) < length)
                        continue;
                found = line;
                length = strlen(m.target);
        }
        return found ? parse_line(found, ret) : -ENOENT;
}

int mount_get_option(const Mount *m, const char *key, char **ret) {
        for (const char *p = m->options; *p; p += strspn(p, ",")) {
                const char *value = startswith(p, key);
                size_t length = strcspn(p, ",");

                if (value && *value == '=') {
                        *ret = strndup(value + 1, p + length - value - 1);
                        if (!*ret)
                                return -ENOMEM;
                        file_unescape(*ret);
                        return 1;
                }
                p += length;
        }
        return 0;
}
