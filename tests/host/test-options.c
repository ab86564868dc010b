/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Options and environment: what is accepted, what is refused, and which of the two wins. */

#include <getopt.h>

#include "options.h"
#include "parse.h"
#include "test.h"

static int clear_environment(void **state) {
        static const char *const names[] = {
                "CCVM_VM_DISK_SIZE",        "CCVM_SCRATCH_DIR", "CCVM_MLOCK",
                "CCVM_SCRATCH_ALLOW_TMPFS", "XDG_CACHE_HOME",   "CACHE_DIRECTORY",
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                unsetenv(names[i]);
        return setenv("HOME", "/home/u", 1);
}

/* Parses up to two options before a command. */
static int parse(const char *a, const char *b, Options *ret) {
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
        *ret = (Options) {};
        return options_parse((int) n, argv, ret);
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
                { "20i", -EINVAL, 0 },
                { "20iB", -EINVAL, 0 },
                { "20GiBiB", -EINVAL, 0 },
                { " 20", -EINVAL, 0 },
                { "+20", -EINVAL, 0 },
                { "G", -EINVAL, 0 },
                { "99999999T", -EINVAL, 0 },
                { "18446744073709551616", -EINVAL, 0 },
                { "18446744073709551617M", -EINVAL, 0 },
                { "512K", -EINVAL, 0 },
                { "64kiB", -EINVAL, 0 },
                { "20\n", -EINVAL, 0 },
                { "31M", -EINVAL, 0 },
                { "32M", 1, 32 * MIB },
                { "0", 1, 0 },
                { "0M", 1, 0 },
                { "20", 1, 20 * GIB },
                { "20G", 1, 20 * GIB },
                { "20g", 1, 20 * GIB },
                { "20GiB", 1, 20 * GIB },
                { "020", 1, 20 * GIB },
                { "512M", 1, 512 * MIB },
                { "1T", 1, TIB },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *option = NULL;
                Options o;

                assert_true(asprintf(&option, "--vm-disk-size=%s", table[i].value) > 0);
                assert_int_equal(parse(option, "--scratch-dir=/a", &o), table[i].r);
                assert_true(o.image.size == table[i].size);
        }
}

static void test_precedence(void **state) {
        Options o;

        assert_int_equal(parse(NULL, NULL, &o), 1);
        assert_int_equal(o.image.size, 0);
        assert_false(o.lock_memory);
        assert_string_equal(o.command[0], "qemu-kvm");
        assert_string_equal(o.command[1], "--vm-disk-size=7");

        setenv("CCVM_VM_DISK_SIZE", "3", 1);
        setenv("CCVM_SCRATCH_DIR", "/a", 1);
        setenv("CCVM_MLOCK", "1", 1);
        assert_int_equal(parse(NULL, NULL, &o), 1);
        assert_true(o.image.size == 3 * GIB);
        assert_string_equal(o.image.dir, "/a");
        assert_int_equal(o.image.make_dirs, 1);
        assert_true(o.lock_memory);

        assert_int_equal(parse("--vm-disk-size=512M", "--lock-memory=no", &o), 1);
        assert_true(o.image.size == 512 * MIB);
        assert_false(o.lock_memory);
}

static void test_scratch_dir(void **state) {
        static const struct {
                const char *cache, *home, *service, *option, *dir;
                unsigned make_dirs;
        } table[] = {
                { "/c", "/home/u", NULL, "--scratch-dir=", NULL, 0 },
                { "/c", "/home/u", "/s", "--scratch-dir=d", "d", 1 },
                { "/c", "/home/u", "/s", NULL, "/c/ccvm", 2 },
                { "relative", "/home/u", "/s", NULL, "/home/u/.cache/ccvm", 2 },
                { "", "/home/u", NULL, NULL, "/home/u/.cache/ccvm", 2 },
                { "relative", "also", NULL, NULL, "/var/tmp", 0 },
                { NULL, NULL, NULL, NULL, "/var/tmp", 0 },
                { NULL, NULL, "relative", NULL, "/var/tmp", 0 },
                { NULL, NULL, "/var/cache/s", NULL, "/var/cache/s", 0 },
                { NULL, "", "/var/cache/s:/var/cache/t", NULL, "/var/cache/s", 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Options o;

                (void) clear_environment(NULL);
                table[i].home ? setenv("HOME", table[i].home, 1) : unsetenv("HOME");
                if (table[i].cache)
                        setenv("XDG_CACHE_HOME", table[i].cache, 1);
                if (table[i].service)
                        setenv("CACHE_DIRECTORY", table[i].service, 1);
                assert_int_equal(parse("--vm-disk-size=1", table[i].option, &o), table[i].dir ? 1 : -EINVAL);
                if (!table[i].dir)
                        continue;
                assert_string_equal(o.image.dir, table[i].dir);
                assert_int_equal(o.image.make_dirs, table[i].make_dirs);
                if (!table[i].option)
                        free((char *) o.image.dir);
        }
}

static void test_bad_values(void **state) {
        static const char *const options[] = {
                "--lock-memory=maybe",
                "--seed=",
                "--keep-image=",
                "--status-file=",
                "--no-such-option",
                "--vm-disk-size",
                "--dry-run=yes",
                "--version=false",
                "--require-encrypted", /* without a disk */
                "-x",
                /* those of before */
                "--vmm=qemu",
                "--marker=none",
                "--marker",
                "--print-args",
                "--image-fd=9",
                "--report-timeout=60",
        };

        for (size_t i = 0; i < ELEMENTSOF(options); i++) {
                Options o;

                assert_int_equal(parse(options[i], NULL, &o), -EINVAL);
                /* What comes behind is still read: the status file has to be known. */
                if (!streq(options[i], "--vm-disk-size")) {
                        assert_int_equal(parse(options[i], "--status-file=/f", &o), -EINVAL);
                        assert_string_equal(o.status_file, "/f");
                }
        }
}

static void test_bad_environment(void **state) {
        static const char *const names[] = { "CCVM_VM_DISK_SIZE", "CCVM_MLOCK" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                Options o;

                setenv(names[i], "x", 1);
                assert_int_equal(parse("--status-file=/f", NULL, &o), -EINVAL);
                assert_string_equal(o.status_file, "/f");
                setenv(names[i], "", 1);
                assert_int_equal(parse(NULL, NULL, &o), 1);
        }
}

static void test_allow_tmpfs_is_only_1(void **state) {
        static const struct {
                const char *value;
                bool allow;
        } table[] = { { "", false },     { "0", false },  { "yes", false },
                      { "true", false }, { "11", false }, { "1", true } };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Options o;

                setenv("CCVM_SCRATCH_ALLOW_TMPFS", table[i].value, 1);
                assert_int_equal(parse(NULL, NULL, &o), 1);
                assert_int_equal(o.image.allow_ram, table[i].allow);
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
