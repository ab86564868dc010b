/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "dirspec.h"

#include "escape.h"
#include "parse.h"

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

int dirspec_parse(const char *text, DirSpec *ret) {
        _cleanup_free_ char *copy = strdup(text);
        DirSpec d = { .mode = 0755 };
        int r = 0;

        if (!copy)
                return -ENOMEM;

        char *rest = copy;
        const char *path = strsep(&rest, ":"), *mode = strsep(&rest, ":"), *uid = strsep(&rest, ":"),
                   *gid = strsep(&rest, ":");
        if (rest || !path_is_clean(path))
                return -EINVAL;
        if (mode)
                r = parse_mode(mode, &d.mode);
        if (r >= 0 && uid)
                r = parse_id(uid, &d.uid);
        if (r >= 0 && gid)
                r = parse_id(gid, &d.gid);
        if (r < 0)
                return r;

        d.path = strdup(path);
        if (!d.path)
                return -ENOMEM;
        *ret = d;
        return 0;
}

char *dirspec_format(const DirSpec *d) {
        char *s;

        if (asprintf(&s, "%s:%04o:%u:%u", d->path, d->mode, d->uid, d->gid) < 0)
                return NULL;
        return s;
}
