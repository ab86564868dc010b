/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "dirspec.h"

#include "escape.h"
#include "parse.h"
#include "text.h"

void dirspec_done(DirSpec *d) {
        free(TAKE_PTR(d->path));
}

static int parse_mode(const char *s, mode_t *ret) {
        size_t l = strlen(s);

        if (l < 3 || l > 5 || strspn(s, "01234567") != l)
                return -EINVAL;
        unsigned long mode = strtoul(s, NULL, 8);
        if (mode > 07777)
                return -EINVAL;
        *ret = mode;
        return 0;
}

static int parse_id(const char *s, uint32_t *ret) {
        uint64_t id;
        int r;

        /* (uid_t) -1 is "leave as it is" for chown(2), and no owner. */
        r = parse_unsigned(s, UINT32_MAX - 1, &id);
        if (r < 0)
                return -EINVAL;
        *ret = id;
        return 0;
}

static int parse_options(char *words, DirSpec *d) {
        for (char *word; (word = strsep(&words, "+"));)
                if (streq(word, "dev"))
                        d->dev = true;
                else if (streq(word, "suid"))
                        d->suid = true;
                else if (streq(word, "noexec"))
                        d->noexec = true;
                else
                        return -EINVAL;
        return 0;
}

static mode_t default_mode(const char *path) {
        return streq(path, "/tmp") || streq(path, "/var/tmp") ? 01777 : 0755;
}

int dirspec_parse(const char *text, DirSpec *ret) {
        _cleanup_free_ char *copy = text_copy(text);
        char *rest = copy;
        DirSpec d = {};

        const char *path = strsep(&rest, ":"), *mode = strsep(&rest, ":"), *uid = strsep(&rest, ":"),
                   *gid = strsep(&rest, ":");
        char *options = strsep(&rest, ":");
        if (rest || !path_is_clean(path))
                return -EINVAL;
        d.mode = default_mode(path);
        if ((!isempty(mode) && parse_mode(mode, &d.mode) < 0) ||
            (!isempty(uid) && parse_id(uid, &d.uid) < 0) || (!isempty(gid) && parse_id(gid, &d.gid) < 0) ||
            (!isempty(options) && parse_options(options, &d) < 0))
                return -EINVAL;
        d.path = text_copy(path);
        *ret = d;
        return 0;
}
