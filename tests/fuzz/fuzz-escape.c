/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Text on its way into unit files: systemd gets back what went in, and nothing else. */

#include "escape.h"
#include "fuzz.h"
#include "systemd.h"

static bool has_control(const char *s) {
        for (; *s; s++)
                if ((unsigned char) *s < ' ' || *s == 0x7f)
                        return true;
        return false;
}

/* Clean: realpath(3) would not change it, were it there. */
static bool is_clean(const char *path) {
        size_t l = strlen(path);

        if (path[0] != '/' || has_control(path))
                return false;
        if (l == 1)
                return true;
        if (path[l - 1] == '/' || strstr(path, "//") || strstr(path, "/./") || strstr(path, "/../"))
                return false;
        return !(l >= 2 && streq(path + l - 2, "/.")) && !(l >= 3 && streq(path + l - 3, "/.."));
}

static void check_unit_name(const char *path) {
        _cleanup_free_ char *name = unit_name_from_path(path, ".mount"), *back = NULL;

        CHECK(path_is_clean(path) == is_clean(path));
        if (!name) {
                CHECK(!is_clean(path) || strlen(path) * 4 + strlen(".mount") > 255);
                return;
        }
        CHECK(is_clean(path));
        CHECK(systemd_unit_name_is_valid(name) && name[0] != '.');

        size_t l = strlen(name) - strlen(".mount");
        CHECK(streq(name + l, ".mount"));
        back = systemd_unescape_path(name, l);
        CHECK(back && streq(back, path));
}

static void check_specifier(const char *s) {
        _cleanup_free_ char *escaped = specifier_escape(s), *back = NULL;

        CHECK(escaped);
        back = systemd_expand_specifiers(escaped);
        CHECK(back && streq(back, s));
}

/* One word, whatever is in it. */
static void check_exec(const char *s) {
        _cleanup_free_ char *escaped = exec_escape(s), *back = NULL, *more = NULL;

        CHECK(escaped);
        const char *line = escaped;
        back = systemd_next_argument(&line);
        CHECK(back && streq(back, s));
        more = systemd_next_argument(&line);
        CHECK(!more && !*line);
}

void fuzz_target(const char *text, size_t size) {
        check_unit_name(text);
        check_specifier(text);
        if (!has_control(text))
                check_exec(text);
}
