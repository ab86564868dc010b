/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* /proc/self/mountinfo, of which a user's mount names are a part. First line: the path to look for. */

#include "fuzz.h"
#include "mountinfo.h"

static void check_mount(const Mount *m) {
        static const char *const keys[] = { "upperdir", "lowerdir", "size", "" };

        CHECK(m->line && m->target && m->type && m->source && m->options);
        CHECK(!strchr(m->options, ' ') && !strchr(m->type, ' '));
        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                _cleanup_free_ char *value = NULL;
                int r = mount_get_option(m, keys[i], &value);
                CHECK(r == 0 || r == 1);
                CHECK(r == (value != NULL));
                CHECK(!value || (strstr(m->options, keys[i]) && !strchr(value, '\n')));
        }
}

static void check_id(const char *text, const Mount *expected) {
        _cleanup_(mount_done) Mount m = {};

        int r = mountinfo_find_id(text, expected->id, &m);
        CHECK(r == 0 || r == -EBADMSG); /* another line may begin with the same number */
        if (r < 0)
                return;
        CHECK(m.id == expected->id);
        check_mount(&m);
}

void fuzz_target(const char *text, size_t size) {
        _cleanup_free_ char *path = strndup(text, strcspn(text, "\n"));
        _cleanup_(mount_done) Mount m = {};

        CHECK(path);
        text += strlen(path);
        text += *text == '\n';
        int r = mountinfo_find_path(text, path, &m);
        CHECK(r == 0 || r == -ENOENT);
        if (r < 0) {
                CHECK(!m.line);
                return;
        }
        check_mount(&m);
        CHECK(startswith(path, m.target));
        check_id(text, &m);
}
