/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "cmdline.h"
#include "conffile.h"
#include "fileio.h"
#include "parse.h"
#include "paths.h"
#include "text.h"

/* As much of a value as a reason quotes; what is too long loses its end, but not what happens instead. */
#define QUOTE_MAX 80
#define QUOTED "'%.*s%s'"
#define QUOTE(s) QUOTE_MAX, (s), strlen(s) > QUOTE_MAX ? "..." : ""

/* More than a person writes. */
#define TEXT_MAX (64 * KIB)

#define INITRD "The initrd's configuration"
#define CMDLINE "Kernel command line"
#define CREDENTIAL "Credential ccvm."

typedef struct Loader {
        Config *config;
        const char *file; /* that is being read; borrowed */
        bool in_section;  /* it has [Scratch] */
} Loader;

/* Adds what stands at where to what was refused. */
static void refuse(Config *c, const char *where, const char *key, const char *value, const char *why,
                   const char *instead) {
        c->refused.where = where;
        refusals_add(&c->refused, key, value, "", "%s%s", why, instead);
}

/* Sets option i, or refuses the value, and it stays as it is. where: NULL for the default. */
static void set(Config *c, size_t i, const char *value, const char *where) {
        _cleanup_free_ char *text = text_copy(value), *accepts = NULL;
        const Option *o = &config_options[i];
        ConfigValue *v = &c->values[i];
        bool taken;

        c->refused.where = where;
        taken = o->parse(c, o, text);
        if (i == OPTION_VM_DISK)
                c->marker_unknown = !taken;
        if (!taken) {
                accepts = option_accepts(o);
                refusals_add(&c->refused, o->key, value, "", "takes %s; using " QUOTED, accepts,
                             QUOTE(v->text));
                return;
        }
        free(v->text);
        free(v->where);
        *v = (ConfigValue) { TAKE_PTR(text), where ? refusals_escape(where) : NULL };
}

static void on_cmdline_word(const char *key, const char *value, void *userdata) {
        const char *name = startswith(key, "ccvm.");
        Config *c = userdata;
        int i;

        if (!name)
                return;
        i = option_find(name, true);
        if (i < 0)
                refuse(c, CMDLINE, key, value ?: "", "unknown option", "");
        else
                set(c, i, value ?: option_is_boolean(&config_options[i]) ? "yes" : "", CMDLINE);
}

static void on_file_line(unsigned line, const char *section, const char *key, const char *value,
                         void *userdata) {
        Loader *l = userdata;
        _cleanup_free_ char *where = text_format("%s:%u", l->file, line);
        bool ours = key && streq(section, "Scratch");
        int i = ours ? option_find(key, false) : -ENOENT;

        l->in_section |= ours;
        if (!key)
                refuse(l->config, where, "", "", value, "; the line is ignored");
        else if (ours && i < 0)
                refuse(l->config, where, key, value, "unknown key", "");
        else if (ours)
                set(l->config, i, value, where);
}

/* name: of the text. */
static void load_text(Config *c, const char *text, const char *name) {
        Loader l = { .config = c, .file = name };

        conffile_parse(text, on_file_line, &l);
        if (!l.in_section && text[strspn(text, " \t\r\n")])
                refuse(c, name, "", "", "nothing in a section [Scratch]", "");
}

/* counts_as: what is done instead. */
static void refuse_unreadable(Config *c, const char *name, const char *counts_as, int error) {
        c->marker_unknown = true;
        c->refused.where = name;
        refusals_add(&c->refused, "", "", "", "cannot be read, and counts as %s: %s", counts_as,
                     strerror(-error));
}

/* Counts what may have stood in a text that cannot be read, as far as it protects somebody. */
static void load_unreadable(Config *c, const char *name, int error) {
        refuse_unreadable(c, name, "Fallback=fail, Integrity=hmac-sha256", error);
        load_text(c, "[Scratch]\nFallback=fail\nIntegrity=hmac-sha256\n", name);
}

static void load_source(Config *c, const ConfigText *t, const char *name) {
        if (t->error < 0)
                load_unreadable(c, name, t->error);
        else if (t->text)
                load_text(c, t->text, name);
}

/* Reads the file name below root, if it is there. */
static ConfigText read_below(const char *root, const char *name) {
        _cleanup_free_ char *path = text_format("%s%s", root, name);
        ConfigText t = {};
        int r = file_read(path, TEXT_MAX, &t.text);

        t.error = r == -ENOENT ? 0 : r;
        return t;
}

static void load_files(Config *c, const char *root) {
        _cleanup_(conffile_freep) char **paths = conffile_find(root, "ccvm-scratch.conf");

        for (char **p = paths; p && *p; p++) {
                ConfigText t = {};

                t.error = file_read(*p, TEXT_MAX, &t.text);
                load_source(c, &t, startswith(*p, root) ?: *p);
                free(t.text);
        }
}

/* Sets option i to a credential's one line, which may end as files on the host do. */
static void load_word(Config *c, size_t i, const char *text, const char *name) {
        _cleanup_free_ char *word = text_format("%.*s", (int) strcspn(text, "\n"), text);

        set(c, i, word, name);
}

static bool is_there(const ConfigText *t) {
        return t->text || t->error < 0;
}

static void load_all(Config *c, const ConfigSources *s) {
        if (s->root)
                load_files(c, s->root);
        load_source(c, &s->conf, CREDENTIAL "conf");
        if (s->vm_disk.error < 0)
                refuse_unreadable(c, CREDENTIAL "vm-disk", "none", s->vm_disk.error);
        else if (s->vm_disk.text)
                load_word(c, OPTION_VM_DISK, s->vm_disk.text, CREDENTIAL "vm-disk");
        if (s->cmdline.error < 0)
                load_unreadable(c, CMDLINE, s->cmdline.error);
        else if (s->cmdline.text)
                cmdline_parse(s->cmdline.text, on_cmdline_word, c);
        if (!is_there(&s->fallback))
                return;
        /* Whoever demands something must not get less because of a slip: any other word is "fail". */
        set(c, OPTION_FALLBACK, "fail", CREDENTIAL "fallback");
        load_word(c, OPTION_FALLBACK, s->fallback.text ?: "", CREDENTIAL "fallback");
}

/* The pool is there, made by what the initrd knew: its directories can still be added to, and all else is
 * decided, but for what the host demands. before: the values of the initrd. */
static void keep_to_initrd(Config *c, const ConfigValue *before, bool demanded) {
        for (size_t i = 0; i < _OPTION_MAX; i++) {
                const char *text = c->values[i].text;

                if (!c->values[i].where || streq(text, before[i].text) || (demanded && i == OPTION_FALLBACK))
                        continue;
                if (i == OPTION_MOUNTS || i == OPTION_NIX_STORE) {
                        c->initrd_differs = true;
                        continue;
                }
                c->refused.where = "The system's configuration";
                refusals_add(&c->refused, config_options[i].key, text, "",
                             "comes too late, the initrd has set the pool up with " QUOTED
                             ": rebuild the initrd",
                             QUOTE(before[i].text));
                set(c, i, before[i].text, INITRD);
        }
}

static void load_over_initrd(Config *c, const ConfigSources *s) {
        _cleanup_(config_done) Config before = {};

        config_load(&before, &(ConfigSources) { .conf = s->initrd });
        load_text(c, s->initrd.text, INITRD);
        if (s->refused.text)
                refusals_parse(&c->refused, s->refused.text);
        load_all(c, s);
        keep_to_initrd(c, before.values, is_there(&s->fallback));
}

/* Sets option i to what goes with option other, and refuses what it was told to be, if that does not. */
static void adjust(Config *c, size_t i, const char *text, size_t other, bool refused) {
        _cleanup_free_ char *with = text_format("%s=%s", config_options[other].key, c->values[other].text);

        c->refused.where = "The configuration";
        if (refused)
                refusals_add(&c->refused, config_options[i].key, c->values[i].text, "",
                             "does not go with %s; using '%s'", with, text);
        set(c, i, text, with);
}

static void adjust_all(Config *c) {
        ConfigValue *v = c->values;

        /* A host whose disks come late is slow at more. */
        if (!v[OPTION_SETUP_TIMEOUT].where && c->device_timeout_sec > c->setup_timeout_sec)
                adjust(c, OPTION_SETUP_TIMEOUT, v[OPTION_DEVICE_TIMEOUT].text, OPTION_DEVICE_TIMEOUT, false);
        /* The disk has nothing but ciphertext then. */
        if (c->integrity != INTEGRITY_NO && c->header != HEADER_RAM)
                adjust(c, OPTION_HEADER, "ram", OPTION_INTEGRITY, v[OPTION_HEADER].where);
        /* The store would be in use by then, and its upper cannot be changed under it. */
        if (c->hotplug && c->nix_store != NIX_STORE_NO)
                adjust(c, OPTION_VM_DISK, "no", OPTION_NIX_STORE, true);
}

static char *format_text(const Config *c) {
        char *text = text_copy("[Scratch]\n");

        for (size_t i = 0; i < _OPTION_MAX; i++)
                if (!streq(c->values[i].text, config_options[i].fallback) ||
                    (i == OPTION_SETUP_TIMEOUT && c->setup_timeout_sec < c->device_timeout_sec))
                        text_append(&text, "%s=%s\n", config_options[i].key, c->values[i].text);
        return text;
}

void config_load(Config *c, const ConfigSources *sources) {
        *c = (Config) {};
        for (size_t i = 0; i < _OPTION_MAX; i++)
                set(c, i, config_options[i].fallback, NULL);
        if (sources->initrd.text)
                load_over_initrd(c, sources);
        else
                load_all(c, sources);
        if (sources->initrd.error < 0)
                load_unreadable(c, INITRD, sources->initrd.error);
        adjust_all(c);
        c->refused.where = NULL; /* it was borrowed */
        c->text = format_text(c);
}

int config_load_text(Config *c, const char *path) {
        _cleanup_free_ char *text = NULL;
        int r;

        *c = (Config) {};
        r = file_read(path, TEXT_MAX, &text);
        if (r >= 0) {
                config_load(c, &(ConfigSources) { .conf.text = text });
                if (streq(c->text, text))
                        return 0;
                r = -EBADMSG;
        }
        config_done(c);
        config_load(c, &(ConfigSources) { .vm_disk.text = (char *) "yes", .initrd.error = -EBADMSG });
        return r;
}

/* path: of the generator's copy, with the credential's name at its end. */
static ConfigText read_credential(const char *root, const char *credentials, bool in_initrd,
                                  const char *path) {
        ConfigText t = {};

        if (credentials)
                t = read_below(credentials, strrchr(path, '/'));
        return is_there(&t) || in_initrd ? t : read_below(root, path);
}

void config_find_sources(ConfigSources *s, const char *root, const char *credentials, bool in_initrd) {
        const char *cmdline = getenv("SYSTEMD_PROC_CMDLINE");
        ConfigText attempted = read_below(root, ATTEMPTED_PATH);

        *s = (ConfigSources) {
                .root = root,
                .conf = read_credential(root, credentials, in_initrd, CREDENTIALS_PATH "/ccvm.conf"),
                .vm_disk = read_credential(root, credentials, in_initrd, CREDENTIALS_PATH "/ccvm.vm-disk"),
                .fallback = read_credential(root, credentials, in_initrd, CREDENTIALS_PATH "/ccvm.fallback"),
                .attempted = !in_initrd && attempted.text && startswith(attempted.text, "initrd"),
        };
        free(attempted.text);
        if (cmdline)
                s->cmdline.text = text_copy(cmdline);
        else
                s->cmdline.error = file_read("/proc/cmdline", TEXT_MAX, &s->cmdline.text);
        if (!s->attempted)
                return;
        s->refused = read_below(root, REFUSED_BY_INITRD_PATH);
        s->initrd = read_below(root, MADE_PATH);
        if (!is_there(&s->initrd)) /* an initrd of an earlier version has only this */
                s->initrd = read_below(root, CONFIG_PATH);
        if (!is_there(&s->initrd))
                s->initrd.error = -ENOENT;
}

void config_sources_done(ConfigSources *s) {
        ConfigText *const texts[] = { &s->conf,    &s->vm_disk, &s->fallback,
                                      &s->cmdline, &s->initrd,  &s->refused };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                free(TAKE_PTR(texts[i]->text));
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
