/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "test.h"

#include "config.h"

/* Whether Mounts= takes it. */
static bool takes(const char *path) {
        _cleanup_(config_done) Config c = {};
        _cleanup_free_ char *cmdline = NULL;

        assert_true(asprintf(&cmdline, "ccvm.mounts=%s", path) >= 0);
        assert_int_equal(config_load(&c, &(ConfigSources) { .root = "/nonexistent", .cmdline = cmdline }),
                         0);
        return c.n_mounts == 1 && streq(c.mounts[0].path, path);
}

static void test_reserved(void **state) {
        static const char *const never[] = {
                "/",
                "/bin",
                "/bin/x",
                "/boot",
                "/boot/efi",
                "/dev",
                "/dev/shm",
                "/efi",
                "/etc",
                "/etc/x",
                "/home",
                "/lib",
                "/lib/x",
                "/lib32",
                "/lib64",
                "/lib64/x",
                "/libx32",
                "/nix",
                "/nix/store",
                "/nix/store/x",
                "/nix/.ro-store",
                "/nix/.rw-store",
                "/nix/.rw-store/x",
                "/proc",
                "/proc/x",
                "/root",
                "/run",
                "/run/user",
                "/sbin",
                "/sys",
                "/sysroot",
                "/sysroot/x",
                "/usr",
                "/usr/lib",
                "/usr/lib/systemd",
                "/usr/localx",
        };
        static const char *const always[] = {
                "/nix/var/nix/builds",
                "/usr/local",
                "/usr/local/x",
                "/usr/src",
                "/usr/src/x",
                "/home/x",
                "/root/x",
                "/tmp",
                "/tmp/x",
                "/var",
                "/var/lib",
                "/var/tmp",
                "/library",
                "/opt",
                "/rootfs",
                "/nixos",
                "/srv",
                "/mnt/a/b",
        };

        for (size_t i = 0; i < ELEMENTSOF(never); i++)
                assert_false(takes(never[i]));
        for (size_t i = 0; i < ELEMENTSOF(always); i++)
                assert_true(takes(always[i]));
}

/* Fallback=, whatever the command line and the text of a file say, with the credential that wins. */
static void test_demanded_fallback(void **state) {
        static const struct {
                const char *credential, *fallback;
        } table[] = { { "", "fail" },      { "yes", "fail" },    { "FAIL", "fail" },
                      { "none ", "fail" }, { "fail", "fail" },   { "none", "none" },
                      { NULL, "tmpfs" },   { "tmpfs", "tmpfs" }, { "tmpfs,", "fail" } };
        static const char *const cmdlines[] = { "ccvm.fallback=tmpfs",
                                                "ccvm.fallback=tmpfs ccvm.fallback=x" };
        static const char *const initrds[] = { NULL, "[Scratch]\nFallback=tmpfs\n" };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                for (size_t j = 0; j < 4; j++) {
                        _cleanup_(config_done) Config c = {};
                        const ConfigSources sources = { .root = "/nonexistent",
                                                        .initrd = initrds[j / 2],
                                                        .conf = "[Scratch]\nFallback=none\n",
                                                        .cmdline = cmdlines[j % 2],
                                                        .fallback = table[i].credential };

                        assert_int_equal(config_load(&c, &sources), 0);
                        assert_string_equal(c.fallback, table[i].fallback);
                }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reserved),
                cmocka_unit_test(test_demanded_fallback),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
