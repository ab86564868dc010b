/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <ctype.h>
#include <inttypes.h>
#include <libeconf.h>
#include <libeconf_ext.h>

#include "cmdline.h"
#include "escape.h"
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
                "no",   "upper", "overlay", "ext4", "xfs",  "btrfs",
                "disk", "ram",   "tmpfs",   "none", "fail", "hmac-sha256",
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
        c->device_timeout_sec = sec;
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

/* Whether a mount on path would take away what the boot itself stands on, or the pool's own /nix. */
static bool path_is_reserved(const char *path) {
        static const char *const exact[] = { "/",    "/bin",   "/boot", "/efi", "/etc",
                                             "/lib", "/lib64", "/sbin", "/usr" };
        static const char *const below[] = { "/dev", "/nix", "/proc", "/run", "/sys", "/sysroot" };

        for (size_t i = 0; i < ELEMENTSOF(exact); i++)
                if (streq(path, exact[i]))
                        return true;
        for (size_t i = 0; i < ELEMENTSOF(below); i++) {
                const char *rest = startswith(path, below[i]);
                if (rest && (*rest == 0 || *rest == '/'))
                        return true;
        }
        return false;
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

static int parse_mounts(Config *c, const Option *o, const char *value) {
        _cleanup_(mount_list_done) MountList list = {};
        _cleanup_free_ char *copy = strdup(value);
        int r;

        if (!copy)
                return -ENOMEM;
        for (char *save, *word = strtok_r(copy, " \t", &save); word; word = strtok_r(NULL, " \t", &save)) {
                r = mount_list_add(&list, word);
                if (r < 0)
                        return r;
        }

        config_done(c);
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
               "a list of PATH[:MODE[:UID[:GID]]], absolute, each once, none that the system needs"),
        OPTION("NixStore", "nix", parse_word, nix_store, "no", "no, upper, overlay"),
        OPTION("FileSystem", "fstype", parse_word, file_system, "ext4", "ext4, xfs, btrfs"),
        OPTION("Header", "header", parse_word, header, "disk", "disk, ram"),
        OPTION("Integrity", "integrity", parse_word, integrity, "no", "no, hmac-sha256"),
        OPTION("Discard", "discard", parse_bool_option, discard, "yes", "yes, no"),
        OPTION("DeviceTimeoutSec", "device_timeout", parse_timeout, device_timeout_sec, "10",
               "seconds, 1 to 3600"),
        OPTION("Fallback", "fallback", parse_word, fallback, "tmpfs", "tmpfs, none, fail"),
        OPTION("FallbackSize", "tmpfs_size", parse_fallback_size, fallback_size, "50%",
               "1% to 100%, or bytes with K, M, G or T, at least 1M"),
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

DEFINE_TRIVIAL_CLEANUP_FUNC(econf_ext_value *, econf_freeExtValue)

/* Where a key was read: "/etc/ccvm-scratch.conf:3". The caller frees it; NULL if out of memory. */
static char *key_location(econf_file *file, const char *key, const char *root) {
        _cleanup_(econf_freeExtValuep) econf_ext_value *v = NULL;
        char *where = NULL;

        if (econf_getExtValue(file, "Scratch", key, &v) != ECONF_SUCCESS || !v->file)
                return strdup("ccvm-scratch.conf");
        const char *path = startswith(v->file, root) ?: v->file;
        return asprintf(&where, "%s:%" PRIu64, path, v->line_number) < 0 ? NULL : where;
}

static int load_key(Loader *l, econf_file *file, const char *key, const char *root) {
        _cleanup_free_ char *value = NULL, *where = key_location(file, key, root);

        if (!where)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                if (streq(options[i].key, key)) {
                        econf_err e = econf_getStringValue(file, "Scratch", key, &value);
                        return e == ECONF_NOMEM ? -ENOMEM : loader_set(l, i, value ?: "", where);
                }
        log_warning("%s: unknown key '%.*s=' in [Scratch], ignored.", where, QUOTE_MAX, key);
        return 0;
}

static int load_keys(Loader *l, econf_file *file, const char *root) {
        char **keys = NULL;
        size_t n = 0;
        int r = 0;

        if (econf_getKeys(file, "Scratch", &n, &keys) != ECONF_SUCCESS)
                return 0; /* no such section */
        for (size_t k = 0; k < n && r >= 0; k++)
                r = load_key(l, file, keys[k], root);
        econf_freeArray(keys);
        return r;
}

static int load_files(Loader *l, const char *root) {
        _cleanup_(econf_freeFilep) econf_file *file = NULL;
        _cleanup_free_ char *prefix = NULL;
        econf_err e = ECONF_SUCCESS;

        /* The prefix is an option of a file object, which the reading then fills. */
        if (root[0]) {
                if (asprintf(&prefix, "ROOT_PREFIX=%s", root) < 0)
                        return -ENOMEM;
                e = econf_newKeyFile_with_options(&file, prefix);
        }
        if (e == ECONF_SUCCESS)
                e = econf_readConfig(&file, NULL, "/usr/lib", "ccvm-scratch", "conf", "=", "#;");
        if (e == ECONF_NOFILE)
                return 0;
        if (e == ECONF_NOMEM)
                return -ENOMEM;
        if (e != ECONF_SUCCESS) {
                _cleanup_free_ char *path = NULL;
                uint64_t line = 0;
                econf_errLocation(&path, &line);
                log_warning("%s:%" PRIu64 ": %s; using no config file.",
                            path ? (startswith(path, root) ?: path) : "ccvm-scratch.conf", line,
                            econf_errString(e));
                return 0;
        }

        return load_keys(l, file, root);
}

static bool is_given(const Loader *l, const char *key) {
        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                if (streq(options[i].key, key))
                        return l->given[i];
        return false;
}

/* dm-integrity's superblock is on the disk, which with it is not noise from its first byte; and ext4 reads
 * from inode tables that were never written, which have no valid tag. */
static void adjust_to_integrity(Loader *l) {
        Config *c = l->config;

        if (streq(c->header, "ram")) {
                log_warning("Header=ram does not go with Integrity=%s; using Header=disk.", c->integrity);
                c->header = "disk";
        }
        if (streq(c->file_system, "ext4")) {
                if (is_given(l, "FileSystem"))
                        log_warning("FileSystem=ext4 does not go with Integrity=%s; using FileSystem=xfs.",
                                    c->integrity);
                c->file_system = "xfs";
        }
}

/* The store would be in use by then, and its upper cannot be changed under it. */
static void adjust_to_nix_store(Config *c) {
        log_warning("VmDisk=hotplug does not go with NixStore=%s; using VmDisk=no.", c->nix_store);
        c->vm_disk = c->hotplug = false;
}

int config_load(Config *c, const char *root, const char *credential, const char *cmdline) {
        _cleanup_(loader_done) Loader l = { .config = c };
        int r;

        *c = (Config) {};
        for (size_t i = 0; i < ELEMENTSOF(options); i++) {
                r = loader_set(&l, i, options[i].fallback, "built-in default");
                if (r < 0)
                        return r;
        }
        r = load_files(&l, root);
        if (r < 0)
                return r;
        if (credential) {
                r = loader_set(&l, 0, credential, "Credential ccvm.vm-disk");
                if (r < 0)
                        return r;
        }
        r = cmdline_parse(cmdline, on_cmdline_word, &l);
        if (r >= 0 && !streq(c->integrity, "no"))
                adjust_to_integrity(&l);
        if (r >= 0 && c->hotplug && !streq(c->nix_store, "no"))
                adjust_to_nix_store(c);
        return r;
}

void config_done(Config *c) {
        while (c->n_mounts > 0)
                dirspec_done(&c->mounts[--c->n_mounts]);
}
