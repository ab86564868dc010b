/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "test.h"

#include "kernel.h"

static void test_file_systems(void **state) {
        static const char text[] = "nodev\tsysfs\nnodev\ttmpfs\n\text3\n\text4\n\tbtrfs\n";

        assert_true(kernel_lists_file_system(text, "ext4"));
        assert_true(kernel_lists_file_system(text, "tmpfs"));
        assert_true(kernel_lists_file_system(text, "btrfs"));
        assert_false(kernel_lists_file_system(text, "ext"));
        assert_false(kernel_lists_file_system(text, "xt4"));
        assert_false(kernel_lists_file_system(text, "xfs"));
        assert_false(kernel_lists_file_system("", "xfs"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_file_systems),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
