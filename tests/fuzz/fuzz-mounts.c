/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Mounts: an accepted entry is written as it was read, and what is accepted of a list has nothing in it that
 * the boot stands on, and all that is good. */

#include "config-check.h"
#include "dirspec-format.h"
#include "escape.h"
#include "fuzz.h"

static void check_entry(const char *text) {
        _cleanup_(dirspec_done) DirSpec d = {}, again = {};
        _cleanup_free_ char *full = NULL, *full_again = NULL;

        int r = dirspec_parse(text, &d);
        if (r < 0) {
                CHECK(r == -EINVAL && !d.path);
                return;
        }
        CHECK(path_is_clean(d.path) && startswith(text, d.path));
        CHECK(d.mode <= 07777 && d.uid != (uid_t) -1 && d.gid != (gid_t) -1);

        full = dirspec_format(&d);
        CHECK(full && dirspec_parse(full, &again) == 0);
        CHECK(streq(d.path, again.path) && d.mode == again.mode && d.uid == again.uid &&
              d.gid == again.gid && d.dev == again.dev && d.suid == again.suid && d.noexec == again.noexec);
        full_again = dirspec_format(&again);
        CHECK(full_again && streq(full, full_again));
}

static void check_list(const char *text) {
        _cleanup_(config_done) Config c = {};
        _cleanup_free_ char *cmdline = NULL;

        CHECK(asprintf(&cmdline, "ccvm.mounts=\"%s\"", text) >= 0);
        config_load_sources(&c, NULL, NULL, cmdline);
}

/* Whatever else is in the list. */
static void check_good_one_stays(const char *text) {
        _cleanup_(config_done) Config c = {};
        _cleanup_free_ char *cmdline = NULL;
        bool found = false;

        if (strstr(text, "ccvm"))
                return; /* it may be another option */
        CHECK(asprintf(&cmdline, "ccvm.mounts=\"/keep-me %s\"", text) >= 0);
        config_load_sources(&c, NULL, NULL, cmdline);
        for (size_t i = 0; i < c.n_mounts; i++)
                found |= streq(c.mounts[i].path, "/keep-me");
        CHECK(found);
}

void fuzz_target(const char *text, size_t size) {
        check_entry(text);
        check_list(text);
        check_good_one_stays(text);
}
