/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The command config of ccvm-scratch(1): the options in force, where each of them stands, and what was
 * refused.
 *
 * When: at any time in the guest, by anybody, and with --root= for an image that was never booted. It reads
 * what the generator of that system reads, by the same code. It must never change anything. */

#include "config.h"
#include "fileio.h"
#include "log.h"
#include "show.h"

/* The service manager's own, which only root can read; others see the copies of the initrd. */
#define SYSTEM_CREDENTIALS "/run/credentials/@system"

static int load(Config *c, const char *root) {
        _cleanup_(config_sources_done) ConfigSources s = { .root = root };
        _cleanup_closedir_ DIR *d = root ? opendir(root) : NULL;

        if (root && !d)
                return log_error_errno(errno, "Failed to open '%s'", root);
        if (!root)
                config_find_sources(&s, "",
                                    access(SYSTEM_CREDENTIALS, R_OK | X_OK) < 0 ? NULL : SYSTEM_CREDENTIALS,
                                    false);
        config_load(c, &s);
        return 0;
}

static void print_text(const Config *c) {
        for (size_t i = 0; i < _OPTION_MAX; i++) {
                int n = printf("%s=%s", config_options[i].key, c->values[i].text);
                printf("%*s  # %s\n", n < 32 ? 32 - n : 0, "", c->values[i].where ?: "default");
        }
        for (const Refusal *e = c->refused.entries; e < c->refused.entries + c->refused.n; e++) {
                _cleanup_free_ char *text = refusal_to_string(e);
                printf("Refused: %s\n", text);
        }
}

static int print_json(const Config *c, JsonForm form) {
        _cleanup_json_ json_object *o = json_object_new_object();
        json_object *all = json_object_new_object();
        bool ok = json_add(o, "options", all);

        for (size_t i = 0; ok && i < _OPTION_MAX; i++) {
                json_object *option = json_object_new_object();
                ok = json_add(all, config_options[i].key, option) &&
                     json_add_string(option, "value", c->values[i].text) &&
                     json_add_string(option, "source", c->values[i].where);
        }
        return ok && show_refused_json(o, &c->refused) ? json_print(o, form == JSON_PRETTY) : -ENOMEM;
}

int show_config(const char *root, JsonForm form) {
        _cleanup_(config_done) Config c = {};
        int r;

        r = load(&c, root);
        if (r >= 0 && form == JSON_OFF)
                print_text(&c);
        else if (r >= 0)
                r = print_json(&c, form);
        if (r == -ENOMEM)
                return log_oom();
        if (r < 0)
                return r;
        return c.refused.n > 0;
}
