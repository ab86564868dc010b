/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "root.h"

#include "config.h"

/* Whether Mounts= takes it. */
static bool takes(const char *path) {
        _cleanup_(config_done) Config c = {};
        _cleanup_free_ char *cmdline = NULL;

        assert_true(asprintf(&cmdline, "ccvm.mounts=%s", path) >= 0);
        config_load(&c, &(ConfigSources) { .root = "/nonexistent", .cmdline.text = cmdline });
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
                const char *credential;
                Fallback fallback;
        } table[] = { { "", FALLBACK_FAIL },      { "yes", FALLBACK_FAIL },    { "FAIL", FALLBACK_FAIL },
                      { "none ", FALLBACK_FAIL }, { "fail", FALLBACK_FAIL },   { "none", FALLBACK_NONE },
                      { NULL, FALLBACK_TMPFS },   { "tmpfs", FALLBACK_TMPFS }, { "tmpfs,", FALLBACK_FAIL } };
        static const char *const cmdlines[] = { "ccvm.fallback=tmpfs",
                                                "ccvm.fallback=tmpfs ccvm.fallback=x" };
        static const char *const initrds[] = { NULL, "[Scratch]\nFallback=tmpfs\n" };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                for (size_t j = 0; j < 4; j++) {
                        _cleanup_(config_done) Config c = {};
                        const ConfigSources sources = { .root = "/nonexistent",
                                                        .initrd = { (char *) initrds[j / 2] },
                                                        .conf = { (char *) "[Scratch]\nFallback=none\n" },
                                                        .cmdline = { (char *) cmdlines[j % 2] },
                                                        .fallback = { (char *) table[i].credential } };

                        config_load(&c, &sources);
                        assert_int_equal(c.fallback, table[i].fallback);
                }
}

static void load(Config *c, const char *conf, const char *cmdline) {
        const ConfigSources sources = { .root = "/nonexistent",
                                        .conf = { (char *) conf },
                                        .cmdline = { (char *) cmdline } };

        config_load(c, &sources);
}

/* All that is good is taken, in an order in which nothing covers anything. */
static void test_lists(void **state) {
        static const struct {
                const char *list, *taken;
                size_t refused;
        } table[] = {
                { "/a /b", "/a /b", 0 },
                { "/scratch /srv/\xc3\xbc", "/scratch", 1 },
                { "relative /a", "/a", 1 },
                { "/usr/x,/a,/etc", "/a", 2 },
                { "/a:99 /b:0755:root /c:::: /d:::::", "/c", 3 },
                { "/a /a:0700", "/a", 1 },
                { "/a/b /a", "/a /a/b", 0 },
                { "/a/b/c /x /a/b /ab /a", "/a /a/b /a/b/c /x /ab", 0 },
                { "/usr", "/scratch", 2 }, /* the entry, and with it the list */
                { "", "", 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(config_done) Config c = {};
                _cleanup_free_ char *cmdline = NULL;
                char taken[256] = "";

                assert_true(asprintf(&cmdline, "\"ccvm.mounts=%s\"", table[i].list) >= 0);
                load(&c, NULL, cmdline);
                for (size_t k = 0; k < c.n_mounts; k++)
                        snprintf(taken + strlen(taken), sizeof(taken) - strlen(taken), "%s%s", k ? " " : "",
                                 c.mounts[k].path);
                assert_string_equal(taken, table[i].taken);
                assert_int_equal(c.refused.n, table[i].refused);
        }
}

/* Of 33 only the last is left out, and of what is too long only that. */
static void test_limits(void **state) {
        _cleanup_(config_done) Config c = {};
        char cmdline[1024] = "\"ccvm.mounts=", *p = cmdline + strlen(cmdline);

        p += sprintf(p, "/%0300u", 0);
        for (unsigned i = 0; i < 33; i++)
                p += sprintf(p, " /m%u", i);
        strcpy(p, "\"");
        load(&c, NULL, cmdline);
        assert_int_equal(c.n_mounts, 32);
        assert_string_equal(c.mounts[31].path, "/m31");
        assert_int_equal(c.refused.n, 2);
        assert_string_equal(c.refused.entries[1].path, "/m32");
}

/* Garbage without end is told of as far as anybody reads it; a mount point always is. */
static void test_garbage(void **state) {
        _cleanup_(config_done) Config c = {};
        char conf[4096] = "[Scratch]\n", *p = conf + strlen(conf);

        for (unsigned i = 0; i < 200; i++)
                p += sprintf(p, "Key%u=x\n", i);
        load(&c, conf, "\"ccvm.mounts=/scratch /usr\"");
        assert_int_equal(c.refused.n, REFUSALS_MAX);
        assert_string_equal(c.refused.entries[REFUSALS_MAX - 1].path, "/usr");
}

/* And all of it is less than ccvm-scratch(1) reads. */
static void test_long_garbage(void **state) {
        _cleanup_(config_done) Config c = {};
        _cleanup_free_ char *text = NULL, *conf = NULL;
        size_t size;
        FILE *f = open_memstream(&conf, &size);

        assert_non_null(f);
        fputs("[Scratch]\n", f);
        for (unsigned i = 0; i < 100; i++)
                fprintf(f, "%u%0600u=%u%0600u\nMounts=/%u%0600u /a\n", i, 0, i, 0, i, 0);
        assert_int_equal(fclose(f), 0);
        load(&c, conf, "");
        assert_int_equal(c.refused.n, REFUSALS_MAX);
        text = refusals_format(&c.refused);
        assert_true(strlen(text) < 64 * 1024);
}

/* Whatever is in it, a refusal is one line of printable ASCII, and what replaces a list takes its mount
 * points along. */
static void test_refusals(void **state) {
        _cleanup_(config_done) Config c = {}, again = {};
        _cleanup_free_ char *text = NULL, *text_again = NULL;

        load(&c, "[Scratch]\nMounts=/scratch /\x80 /\x1b[31m\nFileSystem=a\tb\\c\n", "ccvm.mounts=/data");
        text = refusals_format(&c.refused);
        assert_string_equal(
                text, "Mounts\t/\\x80\tCredential ccvm.conf:2: not printable ASCII without quotes and "
                      "backslashes\t\n"
                      "Mounts\t/\\x1b[31m\tCredential ccvm.conf:2: not "
                      "PATH[:MODE[:UID[:GID[:OPTIONS]]]], absolute and normalized\t\n"
                      "FileSystem\ta\\x09b\\x5cc\tCredential ccvm.conf:3: takes ext4, xfs, btrfs; using "
                      "'ext4'\t\n");
        config_load(&again, &(ConfigSources) {
                                    .root = "/nonexistent",
                                    .initrd = { (char *) "[Scratch]\nMounts=/a\n" },
                                    .refused = { (char *) "Mounts\t/x\twhy\t/x\nnothing\n" },
                            });
        text_again = refusals_format(&again.refused);
        assert_string_equal(text_again, "Mounts\t/x\twhy\t/x\nnothing\t\t\t\n");
}

/* What is there and cannot be read does not make anything less strict; what comes over it may. */
static void test_unreadable(void **state) {
        _cleanup_free_ char *large = NULL, *directory = NULL;
        const ConfigSources sources = { .root = root, .cmdline = { (char *) "ccvm.vm_disk=1" } };

        large = malloc(65 * 1024 + 1);
        assert_non_null(large);
        memset(large, '#', 65 * 1024);
        large[65 * 1024] = 0;
        for (unsigned i = 0; i < 3; i++) {
                _cleanup_(config_done) Config c = {}, over = {};
                _cleanup_free_ char *file = NULL;

                assert_true(asprintf(&file, "%s/etc/ccvm-scratch.conf", root) > 0);
                if (i == 0)
                        put("/etc/ccvm-scratch.conf", large);
                else if (i == 1)
                        assert_int_equal(symlink("ccvm-scratch.conf", file), 0);
                else
                        assert_int_equal(mkdir(file, 0755), 0);
                config_load(&c, &sources);
                assert_int_equal(c.fallback, FALLBACK_FAIL);
                assert_int_equal(c.integrity, INTEGRITY_HMAC_SHA256);
                assert_true(c.vm_disk);
                assert_int_equal(c.refused.n, 1);
                put("/etc/ccvm-scratch.conf.d/x.conf", "[Scratch]\nIntegrity=no\n");
                config_load(&over, &sources);
                assert_int_equal(over.fallback, FALLBACK_FAIL);
                assert_int_equal(over.integrity, INTEGRITY_NO);
                assert_int_equal(remove(file), 0);
                free(TAKE_PTR(file));
                assert_true(asprintf(&file, "%s/etc/ccvm-scratch.conf.d/x.conf", root) > 0);
                assert_int_equal(remove(file), 0);
        }
}

static void test_marker_unknown(void **state) {
        static const struct {
                const char *conf, *cmdline;
                int conf_error;
                bool disk, unknown;
        } table[] = {
                { NULL, "", 0, false, false },
                { NULL, "ccvm.vm_disk=jes", 0, false, true },
                { NULL, "ccvm.vm_disk=jes ccvm.vm_disk=0", 0, false, false },
                { NULL, "ccvm.vm_disk=1 ccvm.vm_disk=jes", 0, true, true },
                { NULL, "ccvm.fstype=ntfs", 0, false, false },
                { NULL, "", -EFBIG, false, true },
                { NULL, "ccvm.vm_disk=0", -EFBIG, false, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(config_done) Config c = {};
                const ConfigSources sources = { .root = "/nonexistent",
                                                .conf.error = table[i].conf_error,
                                                .cmdline = { (char *) table[i].cmdline } };

                config_load(&c, &sources);
                assert_int_equal(c.vm_disk, table[i].disk);
                assert_int_equal(c.marker_unknown, table[i].unknown);
                assert_int_equal(c.fallback, table[i].conf_error ? FALLBACK_FAIL : FALLBACK_TMPFS);
        }
}

/* Where each option stands, in printable ASCII. */
static void test_where(void **state) {
        _cleanup_(config_done) Config c = {};

        put("/etc/ccvm-scratch.conf.d/\x1b[2J.conf", "[Scratch]\n\nFileSystem=xfs\nDeviceTimeoutSec=60\n");
        config_load(&c, &(ConfigSources) { .root = root,
                                           .vm_disk = { (char *) "1" },
                                           .cmdline = { (char *) "ccvm.integrity=hmac-sha256" } });
        assert_string_equal(c.values[OPTION_FILE_SYSTEM].where, "/etc/ccvm-scratch.conf.d/\\x1b[2J.conf:3");
        assert_string_equal(c.values[OPTION_VM_DISK].where, "Credential ccvm.vm-disk");
        assert_string_equal(c.values[OPTION_INTEGRITY].where, "Kernel command line");
        assert_string_equal(c.values[OPTION_HEADER].text, "ram");
        assert_string_equal(c.values[OPTION_HEADER].where, "Integrity=hmac-sha256");
        assert_string_equal(c.values[OPTION_SETUP_TIMEOUT].text, "60");
        assert_null(c.values[OPTION_SERIAL].where);
        assert_int_equal(c.refused.n, 0);
}

/* The text that the generator leaves reads as it was, and any other counts as the strictest. */
static void test_text(void **state) {
        static const char *const good[] = {
                "[Scratch]\n",
                "[Scratch]\nVmDisk=yes\nMounts=/a:0700 /b\nFallback=fail\n",
                "[Scratch]\nDeviceTimeoutSec=60\nSetupTimeoutSec=10\n",
        };
        static const char *const bad[] = {
                "",
                "\n[Scratch]\n",
                "[Scratch]\nVmDisk=jes\n",
                "[Scratch]\nFallback=tmpfs",
                "[Scratch]\nFallback=tmp",
                "[Scratch]\nMounts=/a /usr\n",
                "[Scratch]\nVmDisk=hotplug\nNixStore=upper\n",
                "[Scratch]\nIntegrity=hmac-sha256\n",
                "[Scratch]\nColour=red\n",
        };
        _cleanup_free_ char *path = NULL;

        assert_true(asprintf(&path, "%s/run/config", root) > 0);
        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                _cleanup_(config_done) Config c = {};
                put("/run/config", good[i]);
                assert_int_equal(config_load_text(&c, path), 0);
                assert_string_equal(c.text, good[i]);
        }
        for (size_t i = 0; i <= ELEMENTSOF(bad); i++) {
                _cleanup_(config_done) Config c = {};
                if (i < ELEMENTSOF(bad))
                        put("/run/config", bad[i]);
                else
                        assert_int_equal(unlink(path), 0);
                assert_int_equal(config_load_text(&c, path), i < ELEMENTSOF(bad) ? -EBADMSG : -ENOENT);
                assert_int_equal(config_fallback(&c), FALLBACK_FAIL);
                assert_string_equal(c.values[OPTION_FILE_SYSTEM].text, "ext4");
                assert_int_equal(c.integrity, INTEGRITY_HMAC_SHA256);
        }
}

/* Each option has two names on the command line; times and sizes have the units of systemd. */
static void test_spellings(void **state) {
        static const struct {
                const char *word;
                unsigned option;
        } table[] = {
                { "nix_store=upper", OPTION_NIX_STORE },
                { "nix=upper", OPTION_NIX_STORE },
                { "file-system=xfs", OPTION_FILE_SYSTEM },
                { "device_timeout_sec=30s", OPTION_DEVICE_TIMEOUT },
                { "device_timeout=1h", OPTION_DEVICE_TIMEOUT },
                { "setup-timeout_sec=2min", OPTION_SETUP_TIMEOUT },
                { "fallback_size=64m", OPTION_FALLBACK_SIZE },
                { "tmpfs-size=64MiB", OPTION_FALLBACK_SIZE },
        };
        static const char *const unknown[] = {
                "nixstore=upper",   "NixStore=upper",     "nix__store=upper", "_nix_store=upper",
                "nix_store_=upper", "device_timeout_=30", "filesystem=xfs",   "tmpfs=64m",
        };

        for (size_t i = 0; i < ELEMENTSOF(table) + ELEMENTSOF(unknown); i++) {
                bool known = i < ELEMENTSOF(table);
                _cleanup_(config_done) Config c = {};
                _cleanup_free_ char *cmdline = NULL;

                assert_true(asprintf(&cmdline, "ccvm.%s",
                                     known ? table[i].word : unknown[i - ELEMENTSOF(table)]) > 0);
                load(&c, NULL, cmdline);
                assert_int_equal(c.refused.n, !known);
                if (known)
                        assert_string_equal(c.values[table[i].option].text, strchr(cmdline, '=') + 1);
        }
}

static void test_units(void **state) {
        static const struct {
                const char *size, *expected;
        } sizes[] = {
                { "%", NULL },       { "0%", NULL },           { "101%", NULL },       { "50%%", NULL },
                { "5%0", NULL },     { "1023k", NULL },        { "1.5G", NULL },       { "1GB", NULL },
                { "1024", NULL },    { "-1G", NULL },          { "1%", "1%" },         { "0100%", "100%" },
                { "1M", "1048576" }, { "1024kiB", "1048576" }, { "2g", "2147483648" },
        };
        _cleanup_(config_done) Config c = {};

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                _cleanup_(config_done) Config s = {};
                _cleanup_free_ char *conf = NULL;

                assert_true(asprintf(&conf, "[Scratch]\nFallbackSize=%s\n", sizes[i].size) > 0);
                load(&s, conf, "");
                assert_int_equal(s.refused.n, !sizes[i].expected);
                assert_string_equal(s.fallback_size, sizes[i].expected ?: "50%");
        }
        load(&c, "[Scratch]\nDeviceTimeoutSec=1min 20s\nSetupTimeoutSec=\" 1h\"\n", "");
        assert_int_equal(c.device_timeout_sec, 80);
        assert_int_equal(c.setup_timeout_sec, 80);
        assert_string_equal(c.values[OPTION_SETUP_TIMEOUT].text, "1min 20s");
        assert_int_equal(c.refused.n, 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_spellings),
                cmocka_unit_test(test_units),
                cmocka_unit_test(test_reserved),
                cmocka_unit_test(test_lists),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_garbage),
                cmocka_unit_test(test_long_garbage),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_unreadable),
                cmocka_unit_test(test_marker_unknown),
                cmocka_unit_test(test_demanded_fallback),
                cmocka_unit_test(test_text),
                cmocka_unit_test(test_where),
        };

        return cmocka_run_group_tests(tests, make_root, remove_root);
}
