/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config-check.h"

#include <inttypes.h>

#include "dirspec-format.h"
#include "fuzz.h"
#include "parse.h"

#define ALNUM "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* Whether list, words with a blank before and behind each, has this one. */
static bool is_one_of(const char *list, const char *word) {
        char padded[32];

        snprintf(padded, sizeof(padded), " %s ", word);
        return strstr(list, padded);
}

/* Where the boot itself stands, directly or below, and what stays in RAM. */
static bool is_reserved(const char *path) {
        char first[16], second[16];
        const char *rest = path + 1 + strcspn(path + 1, "/");
        bool whole = !*rest;

        snprintf(first, sizeof(first), "%.*s", (int) strcspn(path + 1, "/"), path + 1);
        rest += *rest == '/';
        snprintf(second, sizeof(second), "%.*s", (int) strcspn(rest, "/"), rest);
        if (streq(first, "usr"))
                return !is_one_of(" local src ", second);
        if (streq(first, "nix"))
                return whole || is_one_of(" .ro-store .rw-store store ", second);
        if (is_one_of(" home root ", first))
                return whole;
        return is_one_of("  bin boot dev efi etc lib lib32 lib64 libx32 proc run sbin sys sysroot ", first);
}

static void check_mounts(const Config *c) {
        CHECK(c->n_mounts <= CONFIG_MOUNTS_MAX);
        for (size_t i = 0; i < c->n_mounts; i++) {
                const DirSpec *d = &c->mounts[i];
                CHECK(d->path[0] == '/' && !is_reserved(d->path));
                CHECK(d->mode <= 07777 && d->uid != (uid_t) -1 && d->gid != (gid_t) -1);
                CHECK(!strpbrk(d->path, " ,:\"'\\"));
                for (const char *p = d->path; *p; p++)
                        CHECK(*p > ' ' && *p <= '~');
                for (size_t k = 0; k < i; k++) {
                        const char *rest = startswith(c->mounts[k].path, d->path);
                        CHECK(!rest || (*rest != 0 && *rest != '/')); /* nor does it cover one before it */
                }
        }
}

/* One a line, of printable ASCII, with three tabs. */
static void check_refusals(const Config *c) {
        _cleanup_free_ char *text = refusals_format(&c->refused);
        size_t tabs = 0, lines = 0;

        for (const char *p = text; *p; p++) {
                CHECK(*p == '\n' || *p == '\t' || (*p >= ' ' && *p <= '~'));
                tabs += *p == '\t';
                lines += *p == '\n';
        }
        CHECK(strlen(text) < 64 * KIB && c->refused.n <= REFUSALS_MAX && lines == c->refused.n &&
              tabs == 3 * lines);
}

static void check_fallback_size(const char *s) {
        size_t l = strlen(s);
        uint64_t n;

        if (s[l - 1] == '%') {
                n = strtoull(s, NULL, 10);
                CHECK(strspn(s, "0123456789") == l - 1 && n >= 1 && n <= 100);
        } else
                CHECK(parse_size(s, 1, &n) == 0 && n >= MIB);
}

void config_check(const Config *c) {
        const char *serial = c->values[OPTION_SERIAL].text;
        size_t l = strlen(serial);

        CHECK(l > 0 && l <= 20 && strspn(serial, ALNUM "._-") == l);
        CHECK(c->nix_store <= NIX_STORE_OVERLAY && c->header <= HEADER_RAM && c->on_clone <= ON_CLONE_WIPE);
        CHECK(c->integrity <= INTEGRITY_HMAC_SHA256 && c->fallback <= FALLBACK_FAIL);
        CHECK(is_one_of(" ext4 xfs btrfs ", c->values[OPTION_FILE_SYSTEM].text));
        for (size_t i = 0; i < _OPTION_MAX; i++)
                CHECK(c->values[i].text && !strpbrk(c->values[i].text, "\n\t\x1b"));
        CHECK(c->device_timeout_sec >= 1 && c->device_timeout_sec <= 3600);
        CHECK(c->setup_timeout_sec >= 1 && c->setup_timeout_sec <= 3600);
        check_fallback_size(c->values[OPTION_FALLBACK_SIZE].text);
        check_mounts(c);
        check_refusals(c);
}

/* The command line that asks for just this. */
static char *to_cmdline(const Config *c) {
        char *text = NULL;
        size_t size;

        FILE *f = open_memstream(&text, &size);
        CHECK(f);
        for (size_t i = 0; i < _OPTION_MAX; i++)
                if (i != OPTION_MOUNTS && i != OPTION_SETUP_TIMEOUT)
                        fprintf(f, "\"ccvm.%s=%s\" ", config_options[i].name, c->values[i].text);
        fprintf(f, "ccvm.setup_timeout=%" PRIu64 " \"ccvm.mounts=", c->setup_timeout_sec);
        for (size_t i = 0; i < c->n_mounts; i++) {
                _cleanup_free_ char *spec = dirspec_format(&c->mounts[i]);
                CHECK(spec);
                fprintf(f, " %s", spec);
        }
        fputs("\"", f);
        CHECK(fclose(f) == 0);
        return text;
}

static void load(Config *c, const ConfigSources *sources) {
        config_load(c, sources);
        config_check(c);
}

/* What is written of it for the other programs, and for the real root, says the same there. */
static void check_text(const Config *c, const char *expected) {
        _cleanup_(config_done) Config again = {}, over = {};
        _cleanup_free_ char *text = NULL;

        load(&again, &(ConfigSources) { .conf.text = c->text });
        text = to_cmdline(&again);
        CHECK(streq(text, expected) && streq(again.text, c->text));
        CHECK(again.refused.n == 0 || streq(c->text, "[Scratch]\n"));
        load(&over, &(ConfigSources) { .initrd.text = c->text });
        CHECK(!over.initrd_differs && over.refused.n == again.refused.n);
}

void config_load_sources(Config *c, const char *conf, const char *vm_disk, const char *cmdline) {
        _cleanup_(config_done) Config again = {};
        _cleanup_free_ char *once = NULL, *twice = NULL;

        load(c, &(ConfigSources) { .conf.text = (char *) conf,
                                   .vm_disk.text = (char *) vm_disk,
                                   .cmdline.text = (char *) cmdline });
        once = to_cmdline(c);
        load(&again, &(ConfigSources) { .cmdline.text = once });
        twice = to_cmdline(&again);
        CHECK(streq(once, twice));
        check_text(c, once);
}
