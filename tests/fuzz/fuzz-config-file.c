/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A config file, whatever is in it: a usable configuration, the protection that one line asks for is there
 * whatever the others are, and the command line has the last word. */

#include "config-check.h"
#include "fuzz.h"

static void check_protection(const char *text) {
        _cleanup_free_ char *strict = NULL;
        _cleanup_(config_done) Config c = {};

        CHECK(asprintf(&strict, "%s\n\n[Scratch]\nFallback=fail\n", text) >= 0);
        config_load_sources(&c, strict, NULL, "");
        CHECK(c.fallback == FALLBACK_FAIL);
}

void fuzz_target(const char *text, size_t size) {
        _cleanup_(config_done) Config c = {}, over = {};

        config_load_sources(&c, text, NULL, "");
        check_protection(text);

        config_load_sources(&over, text, NULL, "ccvm.vm_disk=0 ccvm.serial=s ccvm.mounts=/m ccvm.nix=upper");
        CHECK(!over.vm_disk && streq(over.values[OPTION_SERIAL].text, "s") &&
              over.nix_store == NIX_STORE_UPPER);
        CHECK(over.n_mounts == 1 && streq(over.mounts[0].path, "/m"));
}
