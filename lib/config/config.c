/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "cmdline.h"
#include "conffile.h"
#include "fileio.h"
#include "log.h"
#include "options.h"
#include "parse.h"

/* As much of a value as a warning quotes; a line that is too long loses its end, which says what happens. */
#define QUOTE_MAX 80

static const char *quote_end(const char *value) {
        return strlen(value) > QUOTE_MAX ? "..." : "";
}

/* The texts in force, an option each, owned; for the warnings, which name what is used instead. */
typedef struct Loader {
        Config *config;
        char *texts[ELEMENTSOF(options)];
        bool given[ELEMENTSOF(options)]; /* by the user */
        const char *file;                /* that is being read, for the warnings; borrowed */
        bool in_section;                 /* it has [Scratch] */
} Loader;

static void loader_done(Loader *l) {
        for (size_t i = 0; i < ELEMENTSOF(l->texts); i++)
                free(l->texts[i]);
}

static int find_key(const char *key) {
        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                if (streq(options[i].key, key))
                        return i;
        return -ENOENT;
}

/* Warns of a value that option i does not take, and leaves it as it is. */
static int refuse_value(Loader *l, size_t i, const char *value) {
        Refusals *refused = &l->config->refused;
        const Option *o = &options[i];

        log_warning("%s: bad value '%.*s%s' for %s=, which takes %s; using '%.*s%s'.", refused->where,
                    QUOTE_MAX, value, quote_end(value), o->key, o->accepts, QUOTE_MAX, l->texts[i],
                    quote_end(l->texts[i]));
        l->config->marker_unknown |= (int) i == find_key("VmDisk");
        return refusals_add(refused, o->key, value, NULL, "takes %s; using '%.*s%s'", o->accepts, QUOTE_MAX,
                            l->texts[i], quote_end(l->texts[i]));
}

/* Sets an option, or warns and leaves it. where: for the warning; borrowed until the next call. */
static int loader_set(Loader *l, size_t i, const char *value, const char *where) {
        _cleanup_free_ char *text = strdup(value);
        int r;

        if (!text)
                return -ENOMEM;
        l->config->refused.where = where;
        r = options[i].parse(l->config, &options[i], text);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return refuse_value(l, i, value);
        free(l->texts[i]);
        l->given[i] = l->texts[i] != NULL; /* the first is the default */
        l->texts[i] = TAKE_PTR(text);
        if ((int) i == find_key("VmDisk"))
                l->config->marker_unknown = false;
        return 0;
}

static int on_cmdline_word(const char *key, const char *value, void *userdata) {
        const char *name = startswith(key, "ccvm.");
        Loader *l = userdata;

        if (!name)
                return 0;
        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                if (cmdline_key_equal(name, options[i].name)) {
                        if (!value && option_is_boolean(&options[i]))
                                value = "yes";
                        return loader_set(l, i, value ?: "", "Kernel command line");
                }
        log_warning("Kernel command line: unknown option '%.*s', ignored.", QUOTE_MAX, key);
        l->config->refused.where = "Kernel command line";
        return refusals_add(&l->config->refused, key, value ?: "", NULL, "unknown option");
}

static int on_file_line(unsigned line, const char *section, const char *key, const char *value,
                        void *userdata) {
        _cleanup_free_ char *where = NULL;
        Loader *l = userdata;
        Refusals *refused = &l->config->refused;
        int i;

        if (asprintf(&where, "%s:%u", l->file, line) < 0)
                return -ENOMEM;
        refused->where = where;
        if (!key) {
                log_warning("%s: %s; the line is ignored.", where, value);
                return refusals_add(refused, "", "", NULL, "%s; the line is ignored", value);
        }
        if (!streq(section, "Scratch"))
                return 0;
        l->in_section = true;
        i = find_key(key);
        if (i >= 0)
                return loader_set(l, i, value, where);
        log_warning("%s: unknown key '%.*s=' in [Scratch], ignored.", where, QUOTE_MAX, key);
        return refusals_add(refused, key, value, NULL, "unknown key");
}

/* name: of the text, for the warnings. */
static int load_text(Loader *l, const char *text, const char *name) {
        int r;

        l->file = name;
        l->in_section = false;
        r = conffile_parse(text, on_file_line, l);
        if (r < 0 || l->in_section || !text[strspn(text, " \t\r\n")])
                return r;
        log_warning("%s: nothing in a section [Scratch], so nothing is used.", name);
        l->config->refused.where = name;
        return refusals_add(&l->config->refused, "", "", NULL, "nothing in a section [Scratch]");
}

/* What may have stood in a text that cannot be read, as far as it protects somebody. */
#define STRICT "[Scratch]\nFallback=fail\nIntegrity=hmac-sha256\n"

/* counts_as: what is done instead. */
static int refuse_unreadable(Loader *l, const char *name, const char *counts_as, int error) {
        (void) log_warning_errno(error, "%s cannot be read, and counts as %s", name, counts_as);
        l->config->marker_unknown = true;
        l->config->refused.where = name;
        return refusals_add(&l->config->refused, "", "", NULL, "cannot be read, and counts as %s: %s",
                            counts_as, strerror(-error));
}

static int load_unreadable(Loader *l, const char *name, int error) {
        int r = refuse_unreadable(l, name, "Fallback=fail, Integrity=hmac-sha256", error);

        return r < 0 ? r : load_text(l, STRICT, name);
}

/* More than a person writes. */
#define FILE_MAX (64 * KIB)

static int load_files(Loader *l, const char *root) {
        _cleanup_(conffile_freep) char **paths = NULL;
        int r;

        r = conffile_find(root, "ccvm-scratch.conf", &paths);
        for (char **p = paths; r >= 0 && p && *p; p++) {
                _cleanup_free_ char *text = NULL;
                const char *name = startswith(*p, root) ?: *p;

                r = file_read(*p, FILE_MAX, &text);
                if (r < 0 && r != -ENOMEM)
                        r = load_unreadable(l, name, r);
                else if (r >= 0)
                        r = load_text(l, text, name);
        }
        return r;
}

static bool is_given(const Loader *l, const char *key) {
        return l->given[find_key(key)];
}

/* Warns of a value that does not go with another one. */
static int refuse_pair(Config *c, const char *key, const char *value, const char *other, const char *with,
                       const char *instead) {
        log_warning("%s=%s does not go with %s=%s; using %s=%s.", key, value, other, with, key, instead);
        c->refused.where = "The configuration";
        return refusals_add(&c->refused, key, value, NULL, "does not go with %s=%s; using '%s'", other, with,
                            instead);
}

/* The disk has nothing but ciphertext then. */
static int adjust_to_integrity(Loader *l) {
        Config *c = l->config;
        bool differs = is_given(l, "Header") && streq(c->header, "disk");

        c->header = "ram";
        return differs ? refuse_pair(c, "Header", "disk", "Integrity", c->integrity, "ram") : 0;
}

/* The store would be in use by then, and its upper cannot be changed under it. */
static int adjust_to_nix_store(Config *c) {
        c->vm_disk = c->hotplug = false;
        return refuse_pair(c, "VmDisk", "hotplug", "NixStore", c->nix_store, "no");
}

/* Nothing else is used: it is told now, and not when there is a clone. */
static void warn_of_clones(const Config *c) {
        if (streq(c->on_clone, "renew") && !streq(c->nix_store, "no"))
                log_warning("OnClone=renew does not go with NixStore=%s, whose store cannot be taken from a "
                            "running system: %s instead.",
                            c->nix_store,
                            streq(c->fallback, "fail") ? "a clone will be powered off"
                                                       : "the key of a clone will be wiped");
}

static int load_defaults(Loader *l) {
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(options) && r >= 0; i++)
                r = loader_set(l, i, options[i].fallback, "built-in default");
        return r;
}

/* Sets Fallback= to what the host demands. Whoever demands something must not get less because of a slip, so
 * that any other word is "fail". */
static int load_fallback(Loader *l, const char *value) {
        static const char where[] = "Credential ccvm.fallback";
        size_t i = find_key("Fallback");
        int r;

        r = loader_set(l, i, "fail", where);
        return r < 0 ? r : loader_set(l, i, value, where);
}

static int load_all(Loader *l, const ConfigSources *sources) {
        int r;

        r = load_files(l, sources->root);
        if (r >= 0 && sources->conf_error < 0)
                r = load_unreadable(l, "Credential ccvm.conf", sources->conf_error);
        else if (r >= 0 && sources->conf)
                r = load_text(l, sources->conf, "Credential ccvm.conf");
        if (r >= 0 && sources->vm_disk_error < 0)
                r = refuse_unreadable(l, "Credential ccvm.vm-disk", "none", sources->vm_disk_error);
        else if (r >= 0 && sources->vm_disk)
                r = loader_set(l, find_key("VmDisk"), sources->vm_disk, "Credential ccvm.vm-disk");
        if (r >= 0 && sources->cmdline_error < 0)
                r = load_unreadable(l, "Kernel command line", sources->cmdline_error);
        if (r >= 0)
                r = cmdline_parse(sources->cmdline, on_cmdline_word, l);
        return r >= 0 && sources->fallback ? load_fallback(l, sources->fallback) : r;
}

/* The pool is there, made by what the initrd knew: its directories can still be added to, and all else is
 * decided, but for what the host demands. before: the texts of the initrd. */
static int keep_to_initrd(Loader *l, char **before, bool demanded) {
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(options) && r >= 0; i++) {
                if (streq(l->texts[i], before[i]) || (demanded && streq(options[i].key, "Fallback")))
                        continue;
                if (streq(options[i].key, "Mounts") || streq(options[i].key, "NixStore")) {
                        l->config->initrd_differs = true;
                        continue;
                }
                log_warning("%s=%.*s%s comes too late: the initrd has set the pool up with %s=%.*s%s. Make "
                            "the initrd anew.",
                            options[i].key, QUOTE_MAX, l->texts[i], quote_end(l->texts[i]), options[i].key,
                            QUOTE_MAX, before[i], quote_end(before[i]));
                l->config->refused.where = "The system's configuration";
                r = refusals_add(&l->config->refused, options[i].key, l->texts[i], NULL,
                                 "too late, the initrd has set the pool up with '%.*s%s'", QUOTE_MAX,
                                 before[i], quote_end(before[i]));
                if (r >= 0)
                        r = loader_set(l, i, before[i], "initrd");
        }
        return r;
}

static int load_over_initrd(Loader *l, const ConfigSources *sources) {
        char *before[ELEMENTSOF(options)];
        size_t n = 0;
        int r;

        r = load_text(l, sources->initrd, "The initrd's configuration");
        if (r >= 0 && sources->refused)
                r = refusals_parse(&l->config->refused, sources->refused);
        for (; r >= 0 && n < ELEMENTSOF(options); n++) {
                before[n] = strdup(l->texts[n]);
                if (!before[n])
                        r = -ENOMEM;
        }
        if (r >= 0)
                r = load_all(l, sources);
        if (r >= 0)
                r = keep_to_initrd(l, before, sources->fallback);
        while (n > 0)
                free(before[--n]);
        return r;
}

static int format_text(const Loader *l, char **ret) {
        size_t size;
        FILE *f = open_memstream(ret, &size);

        if (!f)
                return -ENOMEM;
        fputs("[Scratch]\n", f);
        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                if (!streq(l->texts[i], options[i].fallback))
                        fprintf(f, "%s=%s\n", options[i].key, l->texts[i]);
        return fclose(f) == 0 ? 0 : -ENOMEM;
}

int config_load(Config *c, const ConfigSources *sources) {
        _cleanup_(loader_done) Loader l = { .config = c };
        int r;

        *c = (Config) {};
        r = load_defaults(&l);
        if (r >= 0)
                r = sources->initrd ? load_over_initrd(&l, sources) : load_all(&l, sources);
        if (r >= 0 && sources->initrd_error < 0)
                r = load_unreadable(&l, "The initrd's configuration", sources->initrd_error);
        /* A host whose disks come late is slow at more. */
        if (r >= 0 && !is_given(&l, "SetupTimeoutSec") && c->device_timeout_sec > c->setup_timeout_sec)
                c->setup_timeout_sec = c->device_timeout_sec;
        if (r >= 0 && !streq(c->integrity, "no"))
                r = adjust_to_integrity(&l);
        if (r >= 0 && c->hotplug && !streq(c->nix_store, "no"))
                r = adjust_to_nix_store(c);
        if (r >= 0 && c->vm_disk)
                warn_of_clones(c);
        c->refused.where = NULL; /* it was borrowed */
        return r < 0 ? r : format_text(&l, &c->text);
}

void config_done(Config *c) {
        options_done(c);
        refusals_done(&c->refused);
        free(TAKE_PTR(c->text));
}
