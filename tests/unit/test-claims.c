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

/* As systemd-fstab-generator(8) reads them. */
static void test_other_words(void **state) {
        static const char cmdline[] =
                "systemd.mount-extra=a:/slash/ systemd.mount-extra=b://srv/.//x "
                "systemd.mount-extra=c:/sysrootx "
                "systemd.mount-extra=d:/up/../x systemd.mount-extra=e:/net:nfs4 "
                "systemd.mount-extra=f:/own:ext4:_netdev systemd.mount-extra=g:/fuse:fuse.sshfs";
        _cleanup_(claims_done) Claims c = {};

        assert_int_equal(claims_load(&c, "/nonexistent", false, cmdline), 0);
        assert_non_null(claims_find(&c, "/slash"));
        assert_non_null(claims_find(&c, "/srv/x"));
        assert_non_null(claims_find(&c, "/sysrootx"));
        assert_int_equal(c.n, 6);
        assert_false(claims_find(&c, "/slash")->netdev);
        assert_true(claims_find(&c, "/net")->netdev);
        assert_true(claims_come_late(&c, "/own/x"));
        assert_true(claims_come_late(&c, "/fuse"));
        assert_false(claims_come_late(&c, "/srv/x/y"));
        assert_false(claims_come_late(&c, "/up"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_cmdline),
                cmocka_unit_test(test_initrd),
                cmocka_unit_test(test_other_words),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
