/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The options: whatever the command line and the credential say, the configuration is a usable one. First
 * line: the credential, if it is not empty; the rest is the command line. */

#include "config-check.h"
#include "fuzz.h"
#include "parse.h"

void fuzz_target(const char *text, size_t size) {
        _cleanup_free_ char *credential = strndup(text, strcspn(text, "\n"));
        _cleanup_(config_done) Config c = {};

        CHECK(credential);
        text += strlen(credential);
        text += *text == '\n';
        config_load_sources(&c, NULL, credential[0] ? credential : NULL, text);

        if (!strstr(text, "ccvm."))
                CHECK(c.vm_disk == (parse_boolean(credential) == 1 || streq(credential, "hotplug")));
}
