/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "cmdline.h"
#include "conffile.h"
#include "fileio.h"
#include "parse.h"
#include "paths.h"

/* As much of a value as a reason quotes; what is too long loses its end, but not what happens instead. */
#define QUOTE_MAX 80
#define QUOTED "'%.*s%s'"
#define QUOTE(s) QUOTE_MAX, (s), strlen(s) > QUOTE_MAX ? "..." : ""

/* More than a person writes. */
#define TEXT_MAX (64 * KIB)

#define INITRD "The initrd's configuration"

typedef struct Loader {
        Config *config;
        const char *file; /* that is being read; borrowed */
        bool in_section;  /* it has [Scratch] */
} Loader;

/* Adds what stands at where to what was refused. */
static int refuse(Config *c, const char *where, const char *key, const char *value, const char *why) {
        c->refused.where = where;
        return refusals_add(&c->refused, key, value, "", "%s", why);
}

/* Refuses a value that option i does not take, which stays as it is. */
static int refuse_value(Config *c, size_t i, const char *value) {
        _cleanup_free_ char *accepts = option_accepts(&config_options[i]);

        if (!accepts)
                return -ENOMEM;
        c->marker_unknown |= i == OPTION_VM_DISK;
        return refusals_add(&c->refused, config_options[i].key, value, "", "takes %s; using " QUOTED,
                            accepts, QUOTE(c->values[i].text));
}

/* Sets option i, or refuses the value. where: NULL for the default. */
static int set(Config *c, size_t i, const char *value, const char *where) {
        _cleanup_free_ char *text = strdup(value), *from = where ? refusals_escape(where) : NULL;
        ConfigValue *v = &c->values[i];
        int r;

        if (!text || (where && !from))
                return -ENOMEM;
        c->refused.where = where;
        r = config_options[i].parse(c, &config_options[i], text);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return refuse_value(c, i, value);
        free(v->text);
        free(v->where);
        *v = (ConfigValue) { TAKE_PTR(text), TAKE_PTR(from) };
        if (i == OPTION_VM_DISK)
                c->marker_unknown = false;
        return 0;
}

static int on_cmdline_word(const char *key, const char *value, void *userdata) {
        static const char where[] = "Kernel command line";
        const char *name = startswith(key, "ccvm.");
        Config *c = userdata;
        int i;

        if (!name)
                return 0;
        i = option_find_name(name);
        if (i < 0)
                return refuse(c, where, key, value ?: "", "unknown option");
        return set(c, i, value ?: option_is_boolean(&config_options[i]) ? "yes" : "", where);
}

static int on_file_line(unsigned line, const char *section, const char *key, const char *value,
                        void *userdata) {
        _cleanup_free_ char *where = NULL, *why = NULL;
        Loader *l = userdata;
        int i;

        if (asprintf(&where, "%s:%u", l->file, line) < 0)
                return -ENOMEM;
        if (!key)
                return asprintf(&why, "%s; the line is ignored", value) < 0
                               ? -ENOMEM
                               : refuse(l->config, where, "", "", why);
        if (!streq(section, "Scratch"))
                return 0;
        l->in_section = true;
        i = option_find_key(key);
        return i < 0 ? refuse(l->config, where, key, value, "unknown key") : set(l->config, i, value, where);
}

/* name: of the text. */
static int load_text(Config *c, const char *text, const char *name) {
        Loader l = { .config = c, .file = name };
        int r;

        r = conffile_parse(text, on_file_line, &l);
        if (r < 0 || l.in_section || !text[strspn(text, " \t\r\n")])
                return r;
        return refuse(c, name, "", "", "nothing in a section [Scratch]");
}

/* counts_as: what is done instead. */
static int refuse_unreadable(Config *c, const char *name, const char *counts_as, int error) {
        c->marker_unknown = true;
        c->refused.where = name;
        return refusals_add(&c->refused, "", "", "", "cannot be read, and counts as %s: %s", counts_as,
                            strerror(-error));
}

/* Counts what may have stood in a text that cannot be read, as far as it protects somebody. */
static int load_unreadable(Config *c, const char *name, int error) {
        int r;

        r = refuse_unreadable(c, name, "Fallback=fail, Integrity=hmac-sha256", error);
        return r < 0 ? r : load_text(c, "[Scratch]\nFallback=fail\nIntegrity=hmac-sha256\n", name);
}

/* text: NULL if there is none; error: if it could not be read. */
static int load_source(Config *c, const char *text, const char *name, int error) {
        if (error == -ENOMEM)
                return error;
        if (error < 0)
                return load_unreadable(c, name, error);
        return text ? load_text(c, text, name) : 0;
}

static int load_files(Config *c, const char *root) {
        _cleanup_(conffile_freep) char **paths = NULL;
        int r;

        r = conffile_find(root, "ccvm-scratch.conf", &paths);
        for (char **p = paths; r >= 0 && p && *p; p++) {
                _cleanup_free_ char *text = NULL;
                int error = file_read(*p, TEXT_MAX, &text);

                r = load_source(c, text, startswith(*p, root) ?: *p, error);
        }
        return r;
}

/* Sets Fallback= to what the host demands. Whoever demands something must not get less because of a slip, so
 * that any other word is "fail". */
static int load_fallback(Config *c, const char *value) {
        static const char where[] = "Credential ccvm.fallback";
        int r;

        r = set(c, OPTION_FALLBACK, "fail", where);
        return r < 0 ? r : set(c, OPTION_FALLBACK, value, where);
}

static int load_all(Config *c, const ConfigSources *s) {
        int r = 0;

        if (s->root)
                r = load_files(c, s->root);
        if (r < 0)
                return r;
        r = load_source(c, s->conf, "Credential ccvm.conf", s->conf_error);
        if (r < 0)
                return r;
        if (s->vm_disk_error < 0)
                r = refuse_unreadable(c, "Credential ccvm.vm-disk", "none", s->vm_disk_error);
        else if (s->vm_disk)
                r = set(c, OPTION_VM_DISK, s->vm_disk, "Credential ccvm.vm-disk");
        if (r < 0)
                return r;
        r = load_source(c, NULL, "Kernel command line", s->cmdline_error);
        if (r < 0)
                return r;
        r = cmdline_parse(s->cmdline, on_cmdline_word, c);
        return r < 0 || !s->fallback ? r : load_fallback(c, s->fallback);
}

/* The pool is there, made by what the initrd knew: its directories can still be added to, and all else is
 * decided, but for what the host demands. before: the values of the initrd. */
static int keep_to_initrd(Config *c, const ConfigValue *before, bool demanded) {
        int r = 0;

        for (size_t i = 0; i < _OPTION_MAX && r >= 0; i++) {
                const char *text = c->values[i].text;

                if (!c->values[i].where || streq(text, before[i].text) || (demanded && i == OPTION_FALLBACK))
                        continue;
                if (i == OPTION_MOUNTS || i == OPTION_NIX_STORE) {
                        c->initrd_differs = true;
                        continue;
                }
                c->refused.where = "The system's configuration";
                r = refusals_add(&c->refused, config_options[i].key, text, "",
                                 "comes too late, the initrd has set the pool up with " QUOTED
                                 ": rebuild the initrd",
                                 QUOTE(before[i].text));
                if (r >= 0)
                        r = set(c, i, before[i].text, INITRD);
        }
        return r;
}

static int load_over_initrd(Config *c, const ConfigSources *s) {
        _cleanup_(config_done) Config before = {};
        int r;

        r = config_load(&before, &(ConfigSources) { .conf = s->initrd, .cmdline = "" });
        if (r >= 0)
                r = load_text(c, s->initrd, INITRD);
        if (r >= 0 && s->refused)
                r = refusals_parse(&c->refused, s->refused);
        if (r >= 0)
                r = load_all(c, s);
        return r < 0 ? r : keep_to_initrd(c, before.values, s->fallback);
}

/* Sets option i to what goes with option other, and refuses what it was told to be, if that does not. */
static int adjust(Config *c, size_t i, const char *text, size_t other, bool refused) {
        _cleanup_free_ char *with = NULL;
        int r;

        if (asprintf(&with, "%s=%s", config_options[other].key, c->values[other].text) < 0)
                return -ENOMEM;
        if (refused) {
                c->refused.where = "The configuration";
                r = refusals_add(&c->refused, config_options[i].key, c->values[i].text, "",
                                 "does not go with %s; using '%s'", with, text);
                if (r < 0)
                        return r;
        }
        return set(c, i, text, with);
}

static int adjust_all(Config *c) {
        ConfigValue *v = c->values;
        int r = 0;

        /* A host whose disks come late is slow at more. */
        if (!v[OPTION_SETUP_TIMEOUT].where && c->device_timeout_sec > c->setup_timeout_sec)
                r = adjust(c, OPTION_SETUP_TIMEOUT, v[OPTION_DEVICE_TIMEOUT].text, OPTION_DEVICE_TIMEOUT,
                           false);
        if (r < 0)
                return r;
        /* The disk has nothing but ciphertext then. */
        if (c->integrity != INTEGRITY_NO && c->header != HEADER_RAM)
                r = adjust(c, OPTION_HEADER, "ram", OPTION_INTEGRITY, v[OPTION_HEADER].where);
        if (r < 0)
                return r;
        /* The store would be in use by then, and its upper cannot be changed under it. */
        if (c->hotplug && c->nix_store != NIX_STORE_NO)
                r = adjust(c, OPTION_VM_DISK, "no", OPTION_NIX_STORE, true);
        return r;
}

static int format_text(const Config *c, char **ret) {
        size_t size;
        FILE *f = open_memstream(ret, &size);

        if (!f)
                return -ENOMEM;
        fputs("[Scratch]\n", f);
        for (size_t i = 0; i < _OPTION_MAX; i++)
                if (!streq(c->values[i].text, config_options[i].fallback) ||
                    (i == OPTION_SETUP_TIMEOUT && c->setup_timeout_sec < c->device_timeout_sec))
                        fprintf(f, "%s=%s\n", config_options[i].key, c->values[i].text);
        return fclose(f) == 0 ? 0 : -ENOMEM;
}

int config_load(Config *c, const ConfigSources *sources) {
        int r = 0;

        *c = (Config) {};
        for (size_t i = 0; i < _OPTION_MAX && r >= 0; i++)
                r = set(c, i, config_options[i].fallback, NULL);
        if (r < 0)
                return r;
        r = sources->initrd ? load_over_initrd(c, sources) : load_all(c, sources);
        if (r < 0)
                return r;
        r = load_source(c, NULL, INITRD, sources->initrd_error);
        if (r < 0)
                return r;
        r = adjust_all(c);
        c->refused.where = NULL; /* it was borrowed */
        return r < 0 ? r : format_text(c, &c->text);
}

/* Reads the file name below root. */
static int read_below(const char *root, const char *name, char **ret) {
        _cleanup_free_ char *path = NULL;

        return asprintf(&path, "%s%s", root, name) < 0 ? -ENOMEM : file_read(path, TEXT_MAX, ret);
}

/* Reads a credential, or for the real root the initrd's copy if it was not passed on. word: it is of one
 * line, which may end as files on the host do. Returns 0 also if there is none. */
static int read_credential(const ConfigSystem *s, const char *name, bool word, char **ret) {
        _cleanup_free_ char *copy = NULL;
        int r;

        if (asprintf(&copy, CREDENTIALS_PATH "/%s", name) < 0)
                return -ENOMEM;
        r = s->credentials ? read_below(s->credentials, strrchr(copy, '/'), ret) : -ENOENT;
        if (r == -ENOENT && !s->in_initrd)
                r = read_below(s->root, copy, ret);
        if (r >= 0 && word)
                (*ret)[strcspn(*ret, "\n")] = 0;
        return r == -ENOENT ? 0 : r;
}

int config_load_system(Config *c, const ConfigSystem *system) {
        _cleanup_free_ char *conf = NULL, *made = NULL, *refused = NULL, *vm_disk = NULL, *fallback = NULL;
        ConfigSources s = {
                .root = system->root,
                .cmdline = system->cmdline,
                .cmdline_error = system->cmdline_error,
                .conf_error = read_credential(system, "ccvm.conf", false, &conf),
                .vm_disk_error = read_credential(system, "ccvm.vm-disk", true, &vm_disk),
        };

        /* One that cannot be read counts as a word that Fallback= does not take. */
        s.fallback = read_credential(system, "ccvm.fallback", true, &fallback) < 0 ? "" : fallback;
        if (!system->in_initrd && config_initrd_has_attempted(system->root)) {
                s.initrd_error = read_below(system->root, MADE_PATH, &made);
                if (s.initrd_error == -ENOENT) /* an initrd of an earlier version, which has only this */
                        s.initrd_error = read_below(system->root, CONFIG_PATH, &made);
                (void) read_below(system->root, REFUSED_BY_INITRD_PATH, &refused);
        }
        s.initrd = made;
        s.refused = refused;
        s.conf = conf;
        s.vm_disk = vm_disk;
        return config_load(c, &s);
}

int config_load_text(Config *c, const char *path) {
        _cleanup_free_ char *text = NULL;
        int r;

        *c = (Config) {};
        r = file_read(path, TEXT_MAX, &text);
        if (r >= 0)
                r = config_load(c, &(ConfigSources) { .conf = text, .cmdline = "" });
        if (r >= 0 && !streq(c->text, text))
                r = -EBADMSG;
        if (r >= 0)
                return 0;
        config_done(c);
        (void) config_load(c,
                           &(ConfigSources) { .vm_disk = "yes", .cmdline = "", .initrd_error = -EBADMSG });
        return r;
}

int config_read_cmdline(char **ret) {
        const char *e = getenv("SYSTEMD_PROC_CMDLINE");

        if (!e)
                return file_read("/proc/cmdline", TEXT_MAX, ret);
        *ret = strdup(e);
        return *ret ? 0 : -ENOMEM;
}

bool config_initrd_has_attempted(const char *root) {
        _cleanup_free_ char *text = NULL;

        return read_below(root, ATTEMPTED_PATH, &text) >= 0 && startswith(text, "initrd");
}

Fallback config_fallback(const Config *c) {
        return c->hotplug ? FALLBACK_NONE : c->vm_disk ? c->fallback : FALLBACK_TMPFS;
}

void config_done(Config *c) {
        options_done(c);
        refusals_done(&c->refused);
        for (size_t i = 0; i < _OPTION_MAX; i++) {
                free(TAKE_PTR(c->values[i].text));
                free(TAKE_PTR(c->values[i].where));
        }
        free(TAKE_PTR(c->text));
}
