/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <ctype.h>
#include <inttypes.h>

#include "cmdline.h"
#include "conffile.h"
#include "escape.h"
#include "fileio.h"
#include "log.h"
#include "parse.h"

typedef struct Option Option;

struct Option {
        const char *key;  /* in [Scratch] */
        const char *name; /* behind "ccvm." on the kernel command line */
        int (*parse)(Config *c, const Option *o, const char *value);
        const char *accepts;
        const char *fallback; /* the default */
        size_t offset;        /* of the field, for the parsers that serve several */
};

static void *option_field(Config *c, const Option *o) {
        return (char *) c + o->offset;
}

static int parse_bool_option(Config *c, const Option *o, const char *value) {
        int b = parse_boolean(value);

        if (b >= 0)
                *(bool *) option_field(c, o) = b;
        return b < 0 ? b : 0;
}

static int parse_vm_disk(Config *c, const Option *o, const char *value) {
        bool hotplug = streq(value, "hotplug");
        int r = parse_bool_option(c, o, hotplug ? "yes" : value);

        if (r >= 0)
                c->hotplug = hotplug;
        return r;
}

/* One of the words of o->accepts, which is also where the result points: into a constant. */
static int parse_word(Config *c, const Option *o, const char *value) {
        static const char *const words[] = {
                "no",    "upper", "overlay", "ext4",        "xfs",  "btrfs", "disk", "ram",
                "tmpfs", "none",  "fail",    "hmac-sha256", "warn", "renew", "wipe",
        };
        size_t l = strlen(value);

        for (const char *p = o->accepts; *p; p += strspn(p, ", ")) {
                size_t n = strcspn(p, ",");
                if (n == l && strncmp(p, value, n) == 0)
                        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                                if (streq(words[i], value)) {
                                        *(const char **) option_field(c, o) = words[i];
                                        return 0;
                                }
                p += n;
        }
        return -EINVAL;
}

static int parse_serial(Config *c, const Option *o, const char *value) {
        size_t l = strlen(value);

        if (l == 0 || l >= sizeof(c->serial))
                return -EINVAL;
        for (const char *p = value; *p; p++)
                if (!isalnum((unsigned char) *p) && !strchr("._-", *p))
                        return -EINVAL;
        strcpy(c->serial, value);
        return 0;
}

static int parse_timeout(Config *c, const Option *o, const char *value) {
        uint64_t sec;

        if (parse_unsigned(value, 3600, &sec) < 0 || sec == 0)
                return -EINVAL;
        *(uint64_t *) option_field(c, o) = sec;
        return 0;
}

static int parse_fallback_size(Config *c, const Option *o, const char *value) {
        char number[sizeof(c->fallback_size)];
        size_t l = strlen(value);
        uint64_t n;

        if (l == 0 || l >= sizeof(number))
                return -EINVAL;
        strcpy(number, value);
        if (number[l - 1] == '%') {
                number[l - 1] = 0;
                if (parse_unsigned(number, 100, &n) < 0 || n == 0)
                        return -EINVAL;
        } else if (parse_size(value, 1, &n) < 0 || n < MIB)
                return -EINVAL;
        strcpy(c->fallback_size, value);
        return 0;
}

/* Whether path is one of the list, which a NULL ends, or with below lies below one. */
static bool path_in(const char *path, const char *const *list, bool below) {
        for (; *list; list++) {
                const char *rest = startswith(path, *list);
                if (rest && (*rest == 0 || (below && *rest == '/')))
                        return true;
        }
        return false;
}

#define PATHS(...) ((const char *const[]) { __VA_ARGS__, NULL })

/* Whether a mount on path would take away what the boot itself stands on, what stays in RAM by design, or
 * the pool's own /nix. */
static bool path_is_reserved(const char *path) {
        if (path_in(path, PATHS("/usr/local", "/usr/src"), true))
                return false;
        return path_in(path, PATHS("/", "/home", "/nix", "/root"), false) ||
               path_in(path,
                       PATHS("/bin", "/boot", "/dev", "/efi", "/etc", "/lib", "/lib32", "/lib64", "/libx32",
                             "/nix/.ro-store", "/nix/.rw-store", "/nix/store", "/proc", "/run", "/sbin",
                             "/sys", "/sysroot", "/usr"),
                       true);
}

/* A quote or a backslash means something in a unit file, and a line that is not UTF-8 is dropped. */
static bool path_fits_unit_file(const char *path) {
        for (const char *p = path; *p; p++)
                if (*p <= ' ' || *p > '~' || strchr("\\\"'", *p))
                        return false;
        return true;
}

typedef struct MountList {
        DirSpec entries[CONFIG_MOUNTS_MAX];
        size_t n;
} MountList;

static void mount_list_done(MountList *l) {
        while (l->n > 0)
                dirspec_done(&l->entries[--l->n]);
}

static int mount_list_add(MountList *l, const char *text) {
        DirSpec *d = &l->entries[l->n];
        _cleanup_free_ char *unit = NULL;
        int r;

        if (l->n == CONFIG_MOUNTS_MAX)
                return -EINVAL;
        r = dirspec_parse(text, d);
        if (r < 0)
                return r;
        l->n++;

        if (path_is_reserved(d->path) || !path_fits_unit_file(d->path))
                return -EINVAL;
        for (DirSpec *other = l->entries; other < d; other++)
                if (streq(other->path, d->path))
                        return -EINVAL;
        /* The longest unit name is that in the initrd. */
        return unit_name_from_path(d->path, "sysroot-.mount", &unit);
}

static void free_mounts(Config *c) {
        while (c->n_mounts > 0)
                dirspec_done(&c->mounts[--c->n_mounts]);
}

static int parse_mounts(Config *c, const Option *o, const char *value) {
        _cleanup_(mount_list_done) MountList list = {};
        _cleanup_free_ char *copy = strdup(value);
        int r;

        if (!copy)
                return -ENOMEM;
        for (char *save, *word = strtok_r(copy, ", \t", &save); word; word = strtok_r(NULL, ", \t", &save)) {
                r = mount_list_add(&list, word);
                if (r < 0)
                        return r;
        }

        free_mounts(c);
        memcpy(c->mounts, list.entries, sizeof(c->mounts));
        c->n_mounts = list.n;
        list.n = 0;
        return 0;
}

#define OPTION(key, name, parse, field, fallback, accepts) \
        { key, name, parse, accepts, fallback, offsetof(Config, field) }

static const Option options[] = {
        OPTION("VmDisk", "vm_disk", parse_vm_disk, vm_disk, "no", "yes, no, hotplug"),
        OPTION("Serial", "serial", parse_serial, serial, "ccvm-scratch", "at most 20 of A-Z a-z 0-9 . _ -"),
        OPTION("Mounts", "mounts", parse_mounts, mounts, "/scratch:1777",
               "a list of PATH[:MODE[:UID[:GID[:OPTIONS]]]], absolute, each once, none that the system "
               "needs"),
        OPTION("NixStore", "nix", parse_word, nix_store, "no", "no, upper, overlay"),
        OPTION("FileSystem", "fstype", parse_word, file_system, "ext4", "ext4, xfs, btrfs"),
        OPTION("Header", "header", parse_word, header, "disk", "disk, ram"),
        OPTION("Integrity", "integrity", parse_word, integrity, "no", "no, hmac-sha256"),
        OPTION("Discard", "discard", parse_bool_option, discard, "yes", "yes, no"),
        OPTION("DeviceTimeoutSec", "device_timeout", parse_timeout, device_timeout_sec, "10",
               "seconds, 1 to 3600"),
        OPTION("SetupTimeoutSec", "setup_timeout", parse_timeout, setup_timeout_sec, "10",
               "seconds, 1 to 3600"),
        OPTION("Fallback", "fallback", parse_word, fallback, "tmpfs", "tmpfs, none, fail"),
        OPTION("FallbackSize", "tmpfs_size", parse_fallback_size, fallback_size, "50%",
               "1% to 100%, or bytes with K, M, G or T, at least 1M"),
        OPTION("OnClone", "on_clone", parse_word, on_clone, "warn", "warn, renew, wipe"),
};

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
                        /* A boolean without a value is a yes, as everywhere on the command line. */
                        if (!value &&
                            (options[i].parse == parse_bool_option || options[i].parse == parse_vm_disk))
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

static int load_all(Loader *l, const ConfigSources *sources) {
        int r;

        r = load_files(l, sources->root);
        if (r >= 0 && sources->conf)
                r = load_text(l, sources->conf, "Credential ccvm.conf");
        if (r >= 0 && sources->vm_disk)
                r = loader_set(l, find_key("VmDisk"), sources->vm_disk, "Credential ccvm.vm-disk");
        return r < 0 ? r : cmdline_parse(sources->cmdline, on_cmdline_word, l);
}

/* The pool is there, made by what the initrd knew: its directories can still be added to, and all else is
 * decided. before: the texts of the initrd. */
static int keep_to_initrd(Loader *l, char **before) {
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(options) && r >= 0; i++) {
                if (streq(l->texts[i], before[i]))
                        continue;
                if (options[i].parse == parse_mounts || streq(options[i].key, "NixStore")) {
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
                r = keep_to_initrd(l, before);
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
        free_mounts(c);
        free(TAKE_PTR(c->text));
}
