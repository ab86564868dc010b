/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/stat.h>

#include "root.h"

#include "claims.h"

static void test_cmdline(void **state) {
        static const char cmdline[] =
                "systemd.mount-extra=tmpfs:/home:tmpfs:mode=0755,nofail "
                "systemd.mount-extra=/dev/sdb1:/data:ext4:noauto rd.systemd.mount-extra=a:/b "
                "systemd.mount-extra=swap:none systemd.mount-extra=x fstab=0";
        _cleanup_(claims_done) Claims c = {};

        claims_load(&c, "/nonexistent", false, cmdline);
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

        claims_load(&c, "/nonexistent", true,
                    "systemd.mount-extra=a:/a rd.systemd.mount-extra=b:/sysroot/b");
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

        claims_load(&c, "/nonexistent", false, cmdline);
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

/* As systemd-fstab-generator has them: a path in normal form, and where a link of root's leads. */
static void test_paths(void **state) {
        _cleanup_free_ char *srv = NULL, *link = NULL;
        _cleanup_(claims_done) Claims c = {};

        if (geteuid() != 0)
                skip();
        put("/etc/fstab", "a /scratch/ ext4\nb //data//x/. ext4\nc /srv/cache ext4 nofail\nd none swap\n"
                          "e ../x ext4\n");
        assert_true(asprintf(&srv, "%s/var/srv", root) > 0);
        assert_true(asprintf(&link, "%s/srv", root) > 0);
        assert_int_equal(mkdir_parents(srv, 0755), 0);
        assert_int_equal(symlink("var/srv", link), 0);
        claims_load(&c, root, false, "");
        assert_non_null(claims_find(&c, "/scratch"));
        assert_non_null(claims_find(&c, "/data/x"));
        assert_null(claims_find(&c, "/srv/cache"));
        assert_true(claims_find(&c, "/var/srv/cache")->nofail);
        assert_int_equal(c.n, 3);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_cmdline),
                cmocka_unit_test(test_initrd),
                cmocka_unit_test(test_other_words),
                cmocka_unit_test(test_paths),
        };

        return cmocka_run_group_tests(tests, make_root, remove_root);
}
