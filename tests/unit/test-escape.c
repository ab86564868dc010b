/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "test.h"

#include "escape.h"

static void test_clean(void **state) {
        static const char *const clean[] = { "/",    "/a",   "/a/b",      "/.a",  "/a.",
                                             "/...", "/a b", "/\xc3\xbc", "/a..b" };
        static const char *const unclean[] = {
                "",   "a",   "a/b",  "//",      "/a/", "//a",   "/a//b",
                "/.", "/..", "/a/.", "/a/../b", "/\t", "/a\nb", "/\x7f",
        };

        for (size_t i = 0; i < ELEMENTSOF(clean); i++)
                assert_true(path_is_clean(clean[i]));
        for (size_t i = 0; i < ELEMENTSOF(unclean); i++)
                assert_false(path_is_clean(unclean[i]));
}

static void test_simplify(void **state) {
        static const char *const paths[][2] = {
                { "/a/b", "/a/b" },   { "/a/", "/a" },
                { "//a", "/a" },      { "/a//b///", "/a/b" },
                { "/./a/./", "/a" },  { "/", "/" },
                { "//", "/" },        { "/.", "/" },
                { "/a/..", "/a/.." }, { "none", "none" },
                { "", "" },           { "/.a/b.", "/.a/b." },
                { "/a/.b", "/a/.b" }, { "a//b/./c", "a//b/./c" },
                { ".", "." },         { "/a/...", "/a/..." },
        };

        for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
                char path[16];
                strcpy(path, paths[i][0]);
                path_simplify(path);
                assert_string_equal(path, paths[i][1]);
        }
}

/* What systemd-escape(1) says of a path; the reference. */
static void systemd_escape(const char *path, char *name, size_t size) {
        int fds[2];

        assert_int_equal(pipe(fds), 0);
        pid_t pid = fork();
        if (pid == 0) {
                dup2(fds[1], STDOUT_FILENO);
                execlp("systemd-escape", "systemd-escape", "--path", "--suffix=mount", path, NULL);
                _exit(127);
        }
        close(fds[1]);
        FILE *f = fdopen(fds[0], "r");
        assert_non_null(fgets(name, size, f));
        fclose(f);
        name[strcspn(name, "\n")] = 0;
}

static void test_unit_name(void **state) {
        static const char *const paths[] = {
                "/",
                "/scratch",
                "/var/tmp",
                "/nix/.rw-store",
                "/.hidden/.twice",
                "/a-b/c_d",
                "/dev/disk/by-id/x",
                "/with space",
                "/100%",
                "/\"quoted\"",
                "/back\\slash",
                "/a:b.c",
                "/\xc3\xbc",
                "/--",
                "/~",
        };

        for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
                _cleanup_free_ char *name = unit_name_from_path(paths[i], ".mount");
                char reference[512];
                systemd_escape(paths[i], reference, sizeof(reference));
                assert_string_equal(name, reference);
        }
}

static void test_unit_name_length(void **state) {
        char path[300] = "/";
        char *name;

        memset(path + 1, 'a', 250); /* with ".mount" one more than the 255 of a unit name */
        assert_null(unit_name_from_path(path, ".mount"));
        path[250] = 0;
        name = unit_name_from_path(path, ".mount");
        assert_int_equal(strlen(name), 255);
        free(name);
        assert_null(unit_name_from_path("relative", ".mount"));
}

static void test_specifier_and_exec(void **state) {
        static const struct {
                const char *text, *specifier, *exec;
        } table[] = {
                { "", "", "\"\"" },
                { "plain", "plain", "\"plain\"" },
                { "50%", "50%%", "\"50%%\"" },
                { "%h%%", "%%h%%%%", "\"%%h%%%%\"" },
                { "$a${b}", "$a${b}", "\"$$a$${b}\"" },
                { "a\"b\\c'd;e", "a\"b\\c'd;e", "\"a\\\"b\\\\c'd;e\"" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *specifier = specifier_escape(table[i].text),
                                    *exec = exec_escape(table[i].text);
                assert_string_equal(specifier, table[i].specifier);
                assert_string_equal(exec, table[i].exec);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_clean),
                cmocka_unit_test(test_simplify),
                cmocka_unit_test(test_unit_name),
                cmocka_unit_test(test_unit_name_length),
                cmocka_unit_test(test_specifier_and_exec),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
