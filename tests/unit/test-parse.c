/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "test.h"

#include "../fuzz/dirspec-format.h"
#include "parse.h"

static void test_boolean(void **state) {
        static const struct {
                const char *text;
                int expected;
        } table[] = {
                { "", -EINVAL }, { "2", -EINVAL },   { "yes ", -EINVAL }, { "10", -EINVAL }, { "1", 1 },
                { "yes", 1 },    { "Y", 1 },         { "TRUE", 1 },       { "t", 1 },        { "on", 1 },
                { "0", 0 },      { "no", 0 },        { "n", 0 },          { "False", 0 },    { "f", 0 },
                { "OFF", 0 },    { "oui", -EINVAL }, { "-1", -EINVAL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_int_equal(parse_boolean(table[i].text), table[i].expected);
}

static void test_unsigned(void **state) {
        static const struct {
                const char *text;
                uint64_t max;
                int r;
                uint64_t expected;
        } table[] = {
                { "", 10, -EINVAL },
                { "-1", 10, -EINVAL },
                { "+1", 10, -EINVAL },
                { " 1", 10, -EINVAL },
                { "1 ", 10, -EINVAL },
                { "0x1", 10, -EINVAL },
                { "1.0", 10, -EINVAL },
                { "11", 10, -ERANGE },
                { "18446744073709551616", UINT64_MAX, -ERANGE },
                { "99999999999999999999999", UINT64_MAX, -ERANGE },
                { "5", 3, -ERANGE },
                { "18446744073709551615", UINT64_MAX, 0, UINT64_MAX },
                { "10", 10, 0, 10 },
                { "007", 10, 0, 7 },
                { "0", 0, 0, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                uint64_t n = 4711;
                assert_int_equal(parse_unsigned(table[i].text, table[i].max, &n), table[i].r);
                assert_int_equal(n, table[i].r < 0 ? 4711 : table[i].expected);
        }
}

static void test_size(void **state) {
        static const struct {
                const char *text;
                uint64_t unit;
                int r;
                uint64_t expected;
        } table[] = {
                { "", GIB, -EINVAL },
                { "-1", GIB, -EINVAL },
                { "0x10", GIB, -EINVAL },
                { "1.5", GIB, -EINVAL },
                { "20GB", GIB, -EINVAL },
                { "20 G", GIB, -EINVAL },
                { "20i", GIB, -EINVAL },
                { "20iB", GIB, -EINVAL },
                { "20Gi", GIB, -EINVAL },
                { "20GiBx", GIB, -EINVAL },
                { "20GiB ", GIB, -EINVAL },
                { "20GG", GIB, -EINVAL },
                { "iB", GIB, -EINVAL },
                { "99999999TiB", GIB, -ERANGE },
                { "G", GIB, -EINVAL },
                { "99999999T", GIB, -ERANGE },
                { "8388608T", 1, -ERANGE },
                { "9223372036854775808", 1, -ERANGE },
                { "9223372036854775807", 1, 0, INT64_MAX },
                { "8388607T", 1, 0, 8388607 * TIB },
                { "20", GIB, 0, 20 * GIB },
                { "20G", 1, 0, 20 * GIB },
                { "20g", 1, 0, 20 * GIB },
                { "20GiB", 1, 0, 20 * GIB },
                { "512m", GIB, 0, 512 * MIB },
                { "4kib", GIB, 0, 4096 },
                { "512M", GIB, 0, 512 * MIB },
                { "1T", GIB, 0, TIB },
                { "4K", GIB, 0, 4096 },
                { "0", GIB, 0, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                uint64_t n = 4711;
                assert_int_equal(parse_size(table[i].text, table[i].unit, &n), table[i].r);
                assert_int_equal(n, table[i].r < 0 ? 4711 : table[i].expected);
        }
}

static void test_seconds(void **state) {
        static const struct {
                const char *text;
                int r;
                uint64_t expected;
        } table[] = {
                { "", -EINVAL },
                { " ", -EINVAL },
                { "s", -EINVAL },
                { "min", -EINVAL },
                { "-5s", -EINVAL },
                { "+5s", -EINVAL },
                { " 5s", -EINVAL },
                { "5s ", -EINVAL },
                { "5 ", -EINVAL },
                { "5\ts", -EINVAL },
                { "5s\n", -EINVAL },
                { "1.5min", -EINVAL },
                { "1min,20s", -EINVAL },
                { "1min -20s", -EINVAL },
                { "0x10s", -EINVAL },
                { "5 s s", -EINVAL },
                { "5 sec second", -EINVAL },
                { "5e", -EINVAL },
                { "5S", -EINVAL },
                { "5M", -EINVAL },
                { "5ms", -EINVAL },
                { "1d", -EINVAL },
                { "5secondsecondsecond", -EINVAL },
                { "infinity", -EINVAL },
                { "3601", -ERANGE },
                { "3601s", -ERANGE },
                { "61min", -ERANGE },
                { "1h 1", -ERANGE },
                { "59min 61s", -ERANGE },
                { "2h", -ERANGE },
                { "99999999999999999999h", -ERANGE },
                { "18446744073709551615", -ERANGE },
                { "0", 0, 0 },
                { "0s 0min", 0, 0 },
                { "30", 0, 30 },
                { "030s", 0, 30 },
                { "30 s", 0, 30 },
                { "30sec", 0, 30 },
                { "1 second", 0, 1 },
                { "30   seconds", 0, 30 },
                { "2min", 0, 120 },
                { "2m", 0, 120 },
                { "1min 20s", 0, 80 },
                { "1min20s", 0, 80 },
                { "20s 1 minute", 0, 80 },
                { "1min 20", 0, 80 },
                { "59 minutes 60", 0, 3600 },
                { "1h", 0, 3600 },
                { "1 hr 0 hours", 0, 3600 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                uint64_t n = 4711;
                assert_int_equal(parse_seconds(table[i].text, 3600, &n), table[i].r);
                assert_int_equal(n, table[i].r < 0 ? 4711 : table[i].expected);
        }
}

static void test_dirspec_rejects(void **state) {
        static const char *const table[] = {
                "",
                ":",
                "scratch",
                "/a//b",
                "/a/",
                "/a/../b",
                "/a/.",
                "/a\nb",
                "/a:9",
                "/a:0999",
                "/a:77777",
                "/a:17777",
                "/a:-1",
                "/a:0755:root",
                "/a:0755:0:4294967295",
                "/a:0755:0:0:0",
                "/a:0755:0:0:ro",
                "/a:0755:0:0:dev,suid",
                "/a:0755:0:0:dev+",
                "/a:0755:0:0:+dev",
                "/a:0755:0:0:dev:",
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                DirSpec d = {};
                assert_int_equal(dirspec_parse(table[i], &d), -EINVAL);
                assert_null(d.path);
        }
}

static void test_dirspec_accepts(void **state) {
        static const struct {
                const char *text, *full;
        } table[] = {
                { "/", "/:0755:0:0" },
                { "/scratch:1777", "/scratch:1777:0:0" },
                { "/var/lib/x:700:1000", "/var/lib/x:0700:1000:0" },
                { "/a b:0750:1:4294967294", "/a b:0750:1:4294967294" },
                { "/..a/b..", "/..a/b..:0755:0:0" },
                { "/a:", "/a:0755:0:0" },
                { "/a::5", "/a:0755:5:0" },
                { "/a:0700:", "/a:0700:0:0" },
                { "/tmp", "/tmp:1777:0:0" },
                { "/var/tmp::", "/var/tmp:1777:0:0" },
                { "/var/tmp:0700", "/var/tmp:0700:0:0" },
                { "/var/tmp/x", "/var/tmp/x:0755:0:0" },
                { "/a:0755:0:0:", "/a:0755:0:0" },
                { "/a::::dev+suid", "/a:0755:0:0:dev+suid" },
                { "/a:1777:0:0:noexec+suid+dev+dev", "/a:1777:0:0:dev+suid+noexec" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(dirspec_done) DirSpec d = {};
                assert_int_equal(dirspec_parse(table[i].text, &d), 0);
                _cleanup_free_ char *full = dirspec_format(&d);
                assert_string_equal(full, table[i].full);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_boolean),
                cmocka_unit_test(test_unsigned),
                cmocka_unit_test(test_size),
                cmocka_unit_test(test_seconds),
                cmocka_unit_test(test_dirspec_rejects),
                cmocka_unit_test(test_dirspec_accepts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
