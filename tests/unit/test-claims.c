/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "test.h"

#include "claims.h"

static void test_cmdline(void **state) {
        static const char cmdline[] =
                "systemd.mount-extra=tmpfs:/home:tmpfs:mode=0755,nofail "
                "systemd.mount-extra=/dev/sdb1:/data:ext4:noauto rd.systemd.mount-extra=a:/b "
                "systemd.mount-extra=swap:none systemd.mount-extra=x fstab=0";
        _cleanup_(claims_done) Claims c = {};

        assert_int_equal(claims_load(&c, "/nonexistent", false, cmdline), 0);
        assert_non_null(claims_find(&c, "/home"));
        assert_true(claims_find(&c, "/home")->nofail);
        assert_null(claims_find(&c, "/home/x"));
        assert_null(claims_find(&c, "/b"));
        assert_null(claims_find_above(&c, "/home"));
        assert_null(claims_find_above(&c, "/homes/x"));
        assert_string_equal(claims_find_above(&c, "/home/x/y")->where, "/home");
        assert_true(claims_find_above(&c, "/data/x")->noauto);
        assert_int_equal(c.n, 2);
}

static void test_initrd(void **state) {
        _cleanup_(claims_done) Claims c = {};

        assert_int_equal(claims_load(&c, "/nonexistent", true,
                                     "systemd.mount-extra=a:/a rd.systemd.mount-extra=b:/sysroot/b"),
                         0);
        assert_non_null(claims_find(&c, "/a"));
        assert_non_null(claims_find(&c, "/b"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_cmdline),
                cmocka_unit_test(test_initrd),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
