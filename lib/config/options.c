/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "options.h"

#include <ctype.h>
#include <inttypes.h>

#include "escape.h"
#include "log.h"
#include "parse.h"

static void *option_field(Config *c, const Option *o) {
        return (char *) c + o->offset;
}

static int parse_bool_option(Config *c, const Option *o, char *value) {
        int b = parse_boolean(value);

        if (b >= 0)
                *(bool *) option_field(c, o) = b;
        return b < 0 ? b : 0;
}

static int parse_vm_disk(Config *c, const Option *o, char *value) {
        bool hotplug = streq(value, "hotplug");
        int r = parse_bool_option(c, o, hotplug ? "yes" : value);

        if (r >= 0)
                c->hotplug = hotplug;
        return r;
}

/* One of the words of o->accepts, which is also where the result points: into a constant. */
static int parse_word(Config *c, const Option *o, char *value) {
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

static int parse_serial(Config *c, const Option *o, char *value) {
        size_t l = strlen(value);

        if (l == 0 || l >= sizeof(c->serial))
                return -EINVAL;
        for (const char *p = value; *p; p++)
                if (!isalnum((unsigned char) *p) && !strchr("._-", *p))
                        return -EINVAL;
        strcpy(c->serial, value);
        return 0;
}

static int parse_timeout(Config *c, const Option *o, char *value) {
        uint64_t sec;

        if (parse_unsigned(value, 3600, &sec) < 0 || sec == 0)
                return -EINVAL;
        *(uint64_t *) option_field(c, o) = sec;
        return 0;
}

static int parse_fallback_size(Config *c, const Option *o, char *value) {
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

/* Why the list does not take d as it is, a constant; NULL if it does. */
static const char *mount_list_refuses(const MountList *l, const DirSpec *d) {
        _cleanup_free_ char *unit = NULL;

        if (!path_fits_unit_file(d->path))
                return "not printable ASCII without quotes and backslashes";
        if (path_is_reserved(d->path))
                return "the system needs what is there";
        for (const DirSpec *other = l->entries; other < l->entries + l->n; other++)
                if (streq(other->path, d->path))
                        return "named twice";
        if (l->n == CONFIG_MOUNTS_MAX)
                return "more than 32";
        /* With room for where a link leads. */
        return unit_name_from_path(d->path, "sysroot-.mount", &unit) < 0 ? "too long" : NULL;
}

/* Takes d over. Before those below it: it would cover them if it were mounted last. */
static void mount_list_insert(MountList *l, DirSpec *d) {
        DirSpec *at = l->entries, *end = l->entries + l->n;
        const char *rest;

        while (at < end && !((rest = startswith(at->path, d->path)) && *rest == '/'))
                at++;
        memmove(at + 1, at, (char *) end - (char *) at);
        *at = *d;
        *d = (DirSpec) {};
        l->n++;
}

/* -ENOMEM; ret_why: a constant if it is not taken, else NULL. */
static int mount_list_add(MountList *l, const char *text, const char **ret_why) {
        _cleanup_(dirspec_done) DirSpec d = {};
        int r;

        r = dirspec_parse(text, &d);
        if (r == -ENOMEM)
                return r;
        *ret_why = r < 0 ? "not PATH[:MODE[:UID[:GID[:OPTIONS]]]], absolute and normalized"
                         : mount_list_refuses(l, &d);
        if (!*ret_why)
                mount_list_insert(l, &d);
        return 0;
}

/* The mount point that was meant is missing, and status(1) says so. */
static int refuse_mount(Config *c, const Option *o, const char *entry, const char *why) {
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s%.*s", entry[0] == '/' ? "" : "/", (int) strcspn(entry, ":"), entry) < 0)
                return -ENOMEM;
        log_warning("%s: '%.80s' of %s= is left out: %s.", c->refused.where, entry, o->key, why);
        return refusals_add(&c->refused, o->key, entry, path, "%s", why);
}

void options_done(Config *c) {
        while (c->n_mounts > 0)
                dirspec_done(&c->mounts[--c->n_mounts]);
}

/* An entry that is bad costs itself; a list of such alone costs itself as a whole. */
static int parse_mounts(Config *c, const Option *o, char *value) {
        _cleanup_(mount_list_done) MountList list = {};
        _cleanup_free_ char *copy = strdup(value);
        char *taken = value, *word, *save;
        const char *why = NULL;
        int r;

        if (!copy)
                return -ENOMEM;
        c->refused.list++;
        for (word = strtok_r(copy, ", \t", &save); word; word = strtok_r(NULL, ", \t", &save)) {
                r = mount_list_add(&list, word, &why);
                if (r >= 0 && why)
                        r = refuse_mount(c, o, word, why);
                else if (r >= 0)
                        taken = stpcpy(stpcpy(taken, taken == value ? "" : " "), word);
                if (r < 0)
                        return r;
        }
        if (list.n == 0 && why)
                return -EINVAL;
        *taken = 0;

        refusals_settle(&c->refused);
        options_done(c);
        memcpy(c->mounts, list.entries, sizeof(c->mounts));
        c->n_mounts = list.n;
        list.n = 0;
        return 0;
}

#define OPTION(key, name, parse, field, fallback, accepts) \
        { key, name, parse, accepts, fallback, offsetof(Config, field) }

const Option options[OPTIONS] = {
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

bool option_is_boolean(const Option *o) {
        return o->parse == parse_bool_option || o->parse == parse_vm_disk;
}
