/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <sys/stat.h>

#include "root.h"

#include "place.h"

#define USER 1000

/* A directory of the root, or a link in it if target is not NULL, with this owner. */
static void make(const char *path, const char *target, mode_t mode, uid_t uid) {
        _cleanup_free_ char *full = NULL;

        assert_true(asprintf(&full, "%s%s", root, path) > 0);
        if (target)
                assert_int_equal(symlink(target, full), 0);
        else {
                assert_int_equal(mkdir(full, 0755), 0);
                assert_int_equal(chmod(full, mode), 0);
        }
        assert_int_equal(lchown(full, uid, uid), 0);
}

static int fill_root(void **state) {
        if (make_root(state) < 0)
                return -1;
        if (geteuid() != 0)
                return 0;
        make("/var", NULL, 0755, 0);
        make("/var/srv", NULL, 0755, 0);
        make("/etc", NULL, 0755, 0);
        make("/srv", "var/srv", 0, 0);
        make("/mnt", "/var/mnt", 0, 0);
        make("/deep", "../../../var/./srv//deep", 0, 0);
        make("/up", "var/srv/../other", 0, 0);
        make("/self", "self", 0, 0);
        make("/file", "etc/file", 0, 0);
        put("/etc/file", "text");
        make("/owned", "etc", 0, USER);
        make("/tmp", NULL, 01777, 0);
        make("/tmp/link", "/etc", 0, 0);
        make("/group", NULL, 0775, 0);
        make("/group/link", "/etc", 0, 0);
        make("/home", NULL, 0755, 0);
        make("/home/agent", NULL, 0755, USER);
        make("/home/agent/link", "/etc", 0, USER);
        make("/home/agent/roots", NULL, 0755, 0);
        make("/home/agent/roots/link", "/etc", 0, 0);
        make("/through", "tmp/../etc", 0, 0);
        make("/home2", "home", 0, 0);
        return 0;
}

static const struct {
        const char *path;
        int error;
        const char *real; /* is there or made */
} cases[] = {
        { "/scratch", 0, "/scratch" },
        { "/a/b/c", 0, "/a/b/c" },
        { "/srv/x/y", 0, "/var/srv/x/y" },
        { "/mnt/work", 0, "/var/mnt/work" },
        { "/deep", 0, "/var/srv/deep" },
        { "/up/z", 0, "/var/other/z" },
        { "/self/x", ELOOP, NULL },
        { "/file", ENOTDIR, NULL },
        { "/etc/file/x", ENOTDIR, NULL },
        { "/owned/x", ELOOP, NULL },
        { "/tmp/x", 0, "/tmp/x" },
        { "/tmp/link", ELOOP, NULL },
        { "/group/link/x", ELOOP, NULL },
        { "/home/agent/work", 0, "/home/agent/work" },
        { "/home2/agent/work", 0, "/home/agent/work" },
        { "/home/agent/link", ELOOP, NULL },
        { "/home2/agent/link/x", ELOOP, NULL },
        { "/home/agent/roots/link", ELOOP, NULL },
        { "/through/x", ELOOP, NULL },
};

static void test_resolve(void **state) {
        if (geteuid() != 0)
                skip();
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *real = NULL;
                int r = place_resolve(root, cases[i].path, &real);

                /* What is no directory is for whoever mounts there. */
                if (cases[i].error == ENOTDIR)
                        continue;
                assert_int_equal(r, -cases[i].error);
                if (r >= 0)
                        assert_string_equal(real, cases[i].real);
        }
}

static bool is_there(const char *path) {
        _cleanup_free_ char *full = NULL;
        struct stat st;

        assert_true(asprintf(&full, "%s%s", root, path) > 0);
        return lstat(full, &st) >= 0;
}

static void test_nothing_is_made(void **state) {
        if (geteuid() != 0)
                skip();
        assert_int_equal(place_open(root, "/scratch", false, NULL), -ENOENT);
        assert_int_equal(place_open(root, "/mnt", false, NULL), -ENOENT);
        assert_false(is_there("/scratch"));
        assert_false(is_there("/var/mnt"));
}

static void test_open(void **state) {
        if (geteuid() != 0)
                skip();
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *real = NULL, *full = NULL;
                int fd = place_open(root, cases[i].path, true, &real);
                struct stat place, other;

                if (cases[i].error) {
                        assert_int_equal(fd, -cases[i].error);
                        assert_null(real);
                        continue;
                }
                assert_true(fd >= 0);
                assert_string_equal(real, cases[i].real);
                assert_true(asprintf(&full, "%s%s", root, real) > 0);
                assert_int_equal(fstat(fd, &place), 0);
                assert_int_equal(lstat(full, &other), 0);
                assert_int_equal(place.st_ino, other.st_ino);
                assert_int_equal(place.st_uid, 0);
                assert_int_equal(place.st_mode, S_IFDIR | 0755);
                safe_close(fd);
        }
        assert_false(is_there("/etc/x"));
}

static void test_system(void **state) {
        _cleanup_free_ char *real = NULL;
        _cleanup_close_ int fd = place_open("", "/proc", false, &real);

        assert_true(fd >= 0);
        assert_string_equal(real, "/proc");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_resolve),
                cmocka_unit_test(test_nothing_is_made),
                cmocka_unit_test(test_open),
                cmocka_unit_test(test_system),
        };

        (void) umask(022);
        return cmocka_run_group_tests(tests, fill_root, remove_root);
}
