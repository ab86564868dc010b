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

/* Sets an option, or warns and leaves it. where: for the warning. */
static int loader_set(Loader *l, size_t i, const char *value, const char *where) {
        int r;

        r = options[i].parse(l->config, &options[i], value);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                log_warning("%s: bad value '%.*s%s' for %s=, which takes %s; using '%.*s%s'.", where,
                            QUOTE_MAX, value, quote_end(value), options[i].key, options[i].accepts,
                            QUOTE_MAX, l->texts[i], quote_end(l->texts[i]));
                return 0;
        }

        char *text = strdup(value);
        if (!text)
                return -ENOMEM;
        free(l->texts[i]);
        l->given[i] = l->texts[i] != NULL; /* the first is the default */
        l->texts[i] = text;
        return 0;
}

static int find_key(const char *key) {
        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                if (streq(options[i].key, key))
                        return i;
        return -ENOENT;
}

static int on_cmdline_word(const char *key, const char *value, void *userdata) {
        Loader *l = userdata;

        key = startswith(key, "ccvm.");
        if (!key)
                return 0;
        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                if (cmdline_key_equal(key, options[i].name)) {
                        if (!value && option_is_boolean(&options[i]))
                                value = "yes";
                        return loader_set(l, i, value ?: "", "Kernel command line");
                }
        log_warning("Kernel command line: unknown option 'ccvm.%.*s', ignored.", QUOTE_MAX, key);
        return 0;
}

static int on_file_line(unsigned line, const char *section, const char *key, const char *value,
                        void *userdata) {
        _cleanup_free_ char *where = NULL;
        Loader *l = userdata;
        int i;

        if (asprintf(&where, "%s:%u", l->file, line) < 0)
                return -ENOMEM;
        if (!key) {
                log_warning("%s: %s; the line is ignored.", where, value);
                return 0;
        }
        if (!streq(section, "Scratch"))
                return 0;
        l->in_section = true;
        i = find_key(key);
        if (i >= 0)
                return loader_set(l, i, value, where);
        log_warning("%s: unknown key '%.*s=' in [Scratch], ignored.", where, QUOTE_MAX, key);
        return 0;
}

/* name: of the text, for the warnings. */
static int load_text(Loader *l, const char *text, const char *name) {
        int r;

        l->file = name;
        l->in_section = false;
        r = conffile_parse(text, on_file_line, l);
        if (r >= 0 && !l->in_section && text[strspn(text, " \t\r\n")])
                log_warning("%s: nothing in a section [Scratch], so nothing is used.", name);
        return r;
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
                if (r < 0 && r != -ENOMEM) {
                        (void) log_warning_errno(r, "%s cannot be read, ignored", name);
                        r = 0;
                } else if (r >= 0)
                        r = load_text(l, text, name);
        }
        return r;
}

static bool is_given(const Loader *l, const char *key) {
        return l->given[find_key(key)];
}

/* The disk has nothing but ciphertext then. */
static void adjust_to_integrity(Loader *l) {
        Config *c = l->config;

        if (is_given(l, "Header") && streq(c->header, "disk"))
                log_warning("Header=disk does not go with Integrity=%s; using Header=ram.", c->integrity);
        c->header = "ram";
}

/* The store would be in use by then, and its upper cannot be changed under it. */
static void adjust_to_nix_store(Config *c) {
        log_warning("VmDisk=hotplug does not go with NixStore=%s; using VmDisk=no.", c->nix_store);
        c->vm_disk = c->hotplug = false;
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
        if (r >= 0 && sources->conf)
                r = load_text(l, sources->conf, "Credential ccvm.conf");
        if (r >= 0 && sources->vm_disk)
                r = loader_set(l, find_key("VmDisk"), sources->vm_disk, "Credential ccvm.vm-disk");
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
                r = loader_set(l, i, before[i], "initrd");
        }
        return r;
}

static int load_over_initrd(Loader *l, const ConfigSources *sources) {
        char *before[ELEMENTSOF(options)];
        size_t n = 0;
        int r;

        r = load_text(l, sources->initrd, "The initrd's configuration");
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
        /* A host whose disks come late is slow at more. */
        if (r >= 0 && !is_given(&l, "SetupTimeoutSec") && c->device_timeout_sec > c->setup_timeout_sec)
                c->setup_timeout_sec = c->device_timeout_sec;
        if (r >= 0 && !streq(c->integrity, "no"))
                adjust_to_integrity(&l);
        if (r >= 0 && c->hotplug && !streq(c->nix_store, "no"))
                adjust_to_nix_store(c);
        return r < 0 ? r : format_text(&l, &c->text);
}

void config_done(Config *c) {
        options_done(c);
        free(TAKE_PTR(c->text));
}
