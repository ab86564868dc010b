/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "test.h"

#include "failure.h"

static void test_words(void **state) {
        assert_null(reason_to_string(REASON_NONE));
        assert_int_equal(reason_from_string(""), -EINVAL);
        assert_int_equal(reason_from_string("none"), -EINVAL);
        assert_int_equal(reason_from_string("nonsense"), -EINVAL);
        for (int reason = REASON_NONE + 1; reason < _REASON_MAX; reason++)
                assert_int_equal(reason_from_string(reason_to_string(reason)), reason);
}

static void test_set(void **state) {
        _cleanup_(failure_done) Failure f = {};

        assert_int_equal(failure_set(&f, REASON_MKFS, ENOENT, "Failed to start %s", "mkfs"), -ENOENT);
        assert_int_equal(f.reason, REASON_MKFS);
        assert_string_equal(f.detail, "Failed to start mkfs: No such file or directory");
        assert_int_equal(failure_set(&f, REASON_MKFS, -ENOENT, "%s", f.detail), -ENOENT);
        assert_int_equal(failure_set(&f, REASON_VERIFY, 0, "Other"), -EIO);
        assert_int_equal(f.reason, REASON_VERIFY);
        assert_string_equal(f.detail, "Other");
        (void) failure_set(&f, REASON_MKFS, 0, "%s", "a\nb\x7f\xff");
        assert_string_equal(f.detail, "a?b??");
        (void) failure_set(&f, REASON_KERNEL, 0, "The kernel has no %s: %s", "xfs", f.detail);
        assert_int_equal(f.reason, REASON_KERNEL);
        assert_string_equal(f.detail, "The kernel has no xfs: a?b??");
}

static void test_note(void **state) {
        _cleanup_(failure_done) Failure f = {};

        failure_note(&f, "One of %i", 2);
        assert_string_equal(f.detail, "One of 2");
        failure_note(&f, "the other");
        assert_string_equal(f.detail, "One of 2; the other");
        assert_int_equal(f.reason, REASON_NONE);
        (void) failure_set(&f, REASON_MKFS, 0, "all");
        assert_string_equal(f.detail, "all");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_set),
                cmocka_unit_test(test_note),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
