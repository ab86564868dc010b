/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "test.h"

#include "filesystem.h"

static void test_journal(void **state) {
        static const struct {
                const char *release;
                bool needs;
        } table[] = {
                { "6.12.54", true },
                { "6.12.55", false },
                { "6.12.57+deb13-cloud-amd64", false },
                { "6.12.48+deb13-amd64", true },
                { "6.1.0-41-amd64", true }, /* Debian 12, whatever is in it */
                { "6.1.157", true },
                { "6.1.158", false },
                { "6.6.113", true },
                { "6.6.114-1.el9", false },
                { "6.17.4-200.fc42.x86_64", true },
                { "6.17.5-200.fc42.x86_64", false },
                { "6.18.0", false },
                { "6.18-rc3", false },
                { "7.0.1", false },
                { "10.2", false },
                { "6.8.0-85-generic", true },
                { "6.16.12", true },
                { "5.14.0-570.el9.x86_64", true },
                { "5.15.200", true },
                { "", true },
                { "x", true },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_int_equal(filesystem_needs_journal(table[i].release), table[i].needs);
}

static void test_listed(void **state) {
        static const char text[] = "nodev\tsysfs\nnodev\ttmpfs\n\text3\n\text4\n\tbtrfs\n";

        assert_true(filesystem_is_listed(text, "ext4"));
        assert_true(filesystem_is_listed(text, "tmpfs"));
        assert_true(filesystem_is_listed(text, "btrfs"));
        assert_false(filesystem_is_listed(text, "ext"));
        assert_false(filesystem_is_listed(text, "xt4"));
        assert_false(filesystem_is_listed(text, "xfs"));
        assert_false(filesystem_is_listed("", "xfs"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_journal),
                cmocka_unit_test(test_listed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
