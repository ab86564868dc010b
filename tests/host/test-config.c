/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Options and environment: what is accepted, what is refused, and which of the two wins. */

#include <getopt.h>

#include "config.h"
#include "parse.h"
#include "test.h"

static int clear_environment(void **state) {
        static const char *const names[] = {
                "CCVM_VM_DISK_SIZE",        "CCVM_SCRATCH_DIR", "CCVM_MLOCK",
                "CCVM_SCRATCH_ALLOW_TMPFS", "XDG_CACHE_HOME",
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                unsetenv(names[i]);
        return setenv("HOME", "/home/u", 1);
}

/* Parses up to two options before a command. */
static int parse(const char *a, const char *b, Config *ret) {
        static char *argv[6]; /* the command is borrowed from it */
        size_t n = 0;

        argv[n++] = (char *) "ccvm-scratch-run";
        if (a)
                argv[n++] = (char *) a;
        if (b)
                argv[n++] = (char *) b;
        argv[n++] = (char *) "qemu-kvm";
        argv[n++] = (char *) "--vm-disk-size=7"; /* the command's, not ours */
        argv[n] = NULL;
        optind = 0; /* glibc: start anew */
        return config_parse((int) n, argv, ret);
}

static void test_disk_size(void **state) {
        static const struct {
                const char *value;
                int r;
                uint64_t size;
        } table[] = {
                { "", -EINVAL, 0 },
                { "-1", -EINVAL, 0 },
                { "0x10", -EINVAL, 0 },
                { "1.5", -EINVAL, 0 },
                { "20GB", -EINVAL, 0 },
                { "20 G", -EINVAL, 0 },
                { "20g", -EINVAL, 0 },
                { " 20", -EINVAL, 0 },
                { "+20", -EINVAL, 0 },
                { "G", -EINVAL, 0 },
                { "99999999T", -EINVAL, 0 },
                { "18446744073709551616", -EINVAL, 0 },
                { "18446744073709551617M", -EINVAL, 0 },
                { "512K", -EINVAL, 0 },
                { "20\n", -EINVAL, 0 },
                { "31M", -EINVAL, 0 },
                { "32M", 1, 32 * MIB },
                { "0", 1, 0 },
                { "0M", 1, 0 },
                { "20", 1, 20 * GIB },
                { "20G", 1, 20 * GIB },
                { "020", 1, 20 * GIB },
                { "512M", 1, 512 * MIB },
                { "1T", 1, TIB },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *option = NULL;
                _cleanup_(config_done) Config c = {};

                assert_true(asprintf(&option, "--vm-disk-size=%s", table[i].value) > 0);
                assert_int_equal(parse(option, NULL, &c), table[i].r);
                assert_true(c.image.size == table[i].size);
        }
}

static void test_precedence(void **state) {
        _cleanup_(config_done) Config a = {}, b = {}, d = {};

        assert_int_equal(parse(NULL, NULL, &a), 1);
        assert_int_equal(a.image.size, 0);
        assert_false(a.request.lock_memory);
        assert_string_equal(a.command[0], "qemu-kvm");
        assert_string_equal(a.command[1], "--vm-disk-size=7");

        setenv("CCVM_VM_DISK_SIZE", "3", 1);
        setenv("CCVM_SCRATCH_DIR", "/a", 1);
        setenv("CCVM_MLOCK", "1", 1);
        assert_int_equal(parse(NULL, NULL, &b), 1);
        assert_true(b.image.size == 3 * GIB);
        assert_string_equal(b.image.dir, "/a");
        assert_false(b.image.make_dir);
        assert_true(b.request.lock_memory);

        assert_int_equal(parse("--vm-disk-size=512M", "--lock-memory=no", &d), 1);
        assert_true(d.image.size == 512 * MIB);
        assert_false(d.request.lock_memory);
}

static void test_scratch_dir(void **state) {
        static const struct {
                const char *cache, *home, *option, *dir;
        } table[] = {
                { NULL, NULL, NULL, NULL },
                { "relative", "also", NULL, NULL },
                { "relative", "/home/u", NULL, "/home/u/.cache/ccvm" },
                { "", "/home/u", NULL, "/home/u/.cache/ccvm" },
                { "/c", "/home/u", NULL, "/c/ccvm" },
                { "/c", "/home/u", "--scratch-dir=d", "d" },
                { "/c", "/home/u", "--scratch-dir=", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(config_done) Config c = {};

                table[i].cache ? setenv("XDG_CACHE_HOME", table[i].cache, 1) : unsetenv("XDG_CACHE_HOME");
                table[i].home ? setenv("HOME", table[i].home, 1) : unsetenv("HOME");
                if (!table[i].dir) {
                        assert_true(parse("--vm-disk-size=1", table[i].option, &c) < 0);
                        continue;
                }
                assert_int_equal(parse("--vm-disk-size=1", table[i].option, &c), 1);
                assert_string_equal(c.image.dir, table[i].dir);
                assert_int_equal(c.image.make_dir, !table[i].option);
        }
}

static void test_bad_values(void **state) {
        static const char *const options[] = {
                "--marker=",
                "--marker=AUTO",
                "--marker=none,append",
                "--lock-memory=maybe",
                "--seed=",
                "--keep-image=",
                "--no-such-option",
                "--vm-disk-size",
                "--dry-run=yes",
                "--version=false",
                "-x",
        };

        for (size_t i = 0; i < ELEMENTSOF(options); i++) {
                _cleanup_(config_done) Config c = {};

                assert_int_equal(parse(options[i], NULL, &c), -EINVAL);
        }
}

static void test_bad_environment(void **state) {
        static const char *const names[] = { "CCVM_VM_DISK_SIZE", "CCVM_MLOCK" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_(config_done) Config c = {};

                setenv(names[i], "x", 1);
                assert_int_equal(parse(NULL, NULL, &c), -EINVAL);
                setenv(names[i], "", 1);
                assert_int_equal(parse(NULL, NULL, &c), 1);
        }
}

static void test_allow_tmpfs_is_only_1(void **state) {
        static const struct {
                const char *value;
                bool allow;
        } table[] = { { "", false },     { "0", false },  { "yes", false },
                      { "true", false }, { "11", false }, { "1", true } };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(config_done) Config c = {};

                setenv("CCVM_SCRATCH_ALLOW_TMPFS", table[i].value, 1);
                assert_int_equal(parse(NULL, NULL, &c), 1);
                assert_int_equal(c.image.allow_ram, table[i].allow);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_disk_size, clear_environment),
                cmocka_unit_test_setup(test_precedence, clear_environment),
                cmocka_unit_test_setup(test_scratch_dir, clear_environment),
                cmocka_unit_test_setup(test_bad_values, clear_environment),
                cmocka_unit_test_setup(test_bad_environment, clear_environment),
                cmocka_unit_test_setup(test_allow_tmpfs_is_only_1, clear_environment),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
