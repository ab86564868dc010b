/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <ctype.h>
#include <inttypes.h>

#include "cmdline.h"
#include "escape.h"
#include "parse.h"
#include "text.h"

#define SERIAL_MAX 20U /* of virtio */

#define KEY_MAX 32 /* with a "_" before each of its words, and the NUL */

static void *option_field(Config *c, const Option *o) {
        return (char *) c + o->offset;
}

static const char *const booleans[] = { "yes", "no", NULL },
                         *const vm_disks[] = { "yes", "no", "hotplug", NULL },
                         *const nix_stores[] = { "no", "upper", "overlay", NULL },
                         *const file_systems[] = { "ext4", "xfs", "btrfs", NULL },
                         *const headers[] = { "disk", "ram", NULL },
                         *const integrities[] = { "no", "hmac-sha256", NULL },
                         *const fallbacks[] = { "tmpfs", "none", "fail", NULL },
                         *const on_clones[] = { "warn", "renew", "wipe", NULL };

static bool parse_bool_option(Config *c, const Option *o, char *value) {
        int b = parse_boolean(value);

        if (b >= 0)
                *(bool *) option_field(c, o) = b;
        return b >= 0;
}

static bool parse_vm_disk(Config *c, const Option *o, char *value) {
        bool hotplug = streq(value, "hotplug");

        if (!parse_bool_option(c, o, hotplug ? "yes" : value))
                return false;
        c->hotplug = hotplug;
        return true;
}

static int find_word(const Option *o, const char *value) {
        for (int i = 0; o->words[i]; i++)
                if (streq(o->words[i], value))
                        return i;
        return -1;
}

/* Sets an enum, which has the order of the words. */
static bool parse_word(Config *c, const Option *o, char *value) {
        int i = find_word(o, value);

        if (i >= 0)
                *(unsigned *) option_field(c, o) = i;
        return i >= 0;
}

static bool check_word(Config *c, const Option *o, char *value) {
        return find_word(o, value) >= 0;
}

static bool check_serial(Config *c, const Option *o, char *value) {
        size_t l = strlen(value);

        for (const char *p = value; *p; p++)
                if (!isalnum((unsigned char) *p) && !strchr("._-", *p))
                        return false;
        return l > 0 && l <= SERIAL_MAX;
}

static bool parse_timeout(Config *c, const Option *o, char *value) {
        uint64_t sec;

        if (parse_seconds(value, 3600, &sec) < 0 || sec == 0)
                return false;
        *(uint64_t *) option_field(c, o) = sec;
        return true;
}

static bool parse_fallback_size(Config *c, const Option *o, char *value) {
        char *percent = strchr(value, '%');
        uint64_t n;
        int r;

        if (percent && percent[1])
                return false;
        if (percent)
                *percent = 0;
        r = percent ? parse_unsigned(value, 100, &n) : parse_size(value, 1, &n);
        if (percent)
                *percent = '%';
        if (r < 0 || n < (percent ? 1 : MIB))
                return false;
        snprintf(c->fallback_size, sizeof(c->fallback_size), "%" PRIu64 "%s", n, percent ?: "");
        return true;
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

/* Why the list does not take d as it is, a constant; NULL if it does. */
static const char *mount_list_refuses(const Config *l, const DirSpec *d) {
        _cleanup_free_ char *unit = unit_name_from_path(d->path, "sysroot-.mount");

        if (!path_fits_unit_file(d->path))
                return "not printable ASCII without quotes and backslashes";
        if (path_is_reserved(d->path))
                return "the system needs what is there";
        for (const DirSpec *other = l->mounts; other < l->mounts + l->n_mounts; other++)
                if (streq(other->path, d->path))
                        return "named twice";
        if (l->n_mounts == CONFIG_MOUNTS_MAX)
                return "more than 32";
        /* With room for where a link leads. */
        return unit ? NULL : "too long";
}

/* Takes d over. Before those below it: it would cover them if it were mounted last. */
static void mount_list_insert(Config *l, DirSpec *d) {
        DirSpec *at = l->mounts, *end = l->mounts + l->n_mounts;
        const char *rest;

        while (at < end && !((rest = startswith(at->path, d->path)) && *rest == '/'))
                at++;
        memmove(at + 1, at, (char *) end - (char *) at);
        *at = *d;
        *d = (DirSpec) {};
        l->n_mounts++;
}

/* Adds the entry text. Returns why it is not taken, a constant; NULL if it is. */
static const char *mount_list_add(Config *l, const char *text) {
        _cleanup_(dirspec_done) DirSpec d = {};
        const char *why;

        if (dirspec_parse(text, &d) < 0)
                return "not PATH[:MODE[:UID[:GID[:OPTIONS]]]], absolute and normalized";
        why = mount_list_refuses(l, &d);
        if (!why)
                mount_list_insert(l, &d);
        return why;
}

/* The mount point that was meant is missing, and status(1) says so. */
static void refuse_mount(Config *c, const Option *o, const char *entry, const char *why) {
        _cleanup_free_ char *path =
                text_format("%s%.*s", entry[0] == '/' ? "" : "/", (int) strcspn(entry, ":"), entry);

        refusals_add(&c->refused, o->key, entry, path, "%s", why);
}

void options_done(Config *c) {
        while (c->n_mounts > 0)
                dirspec_done(&c->mounts[--c->n_mounts]);
}

/* An entry that is bad costs itself; a list of such alone costs itself as a whole. */
static bool parse_mounts(Config *c, const Option *o, char *value) {
        _cleanup_(options_done) Config list = {};
        _cleanup_free_ char *copy = text_copy(value);
        char *taken = value, *word, *save;
        const char *why = NULL;

        c->refused.list++;
        for (word = strtok_r(copy, ", \t", &save); word; word = strtok_r(NULL, ", \t", &save)) {
                why = mount_list_add(&list, word);
                if (!why)
                        taken = stpcpy(stpcpy(taken, taken == value ? "" : " "), word);
                else
                        refuse_mount(c, o, word, why);
        }
        if (list.n_mounts == 0 && why)
                return false;
        *taken = 0;

        refusals_settle(&c->refused);
        options_done(c);
        memcpy(c->mounts, list.mounts, sizeof(c->mounts));
        c->n_mounts = list.n_mounts;
        list.n_mounts = 0;
        return true;
}

#define WORDS(key, name, parse, field, fallback, words) \
        { key, name, parse, words, NULL, fallback, offsetof(Config, field) }
#define TEXT(key, name, parse, field, fallback, accepts) \
        { key, name, parse, NULL, accepts, fallback, offsetof(Config, field) }

const Option config_options[_OPTION_MAX] = {
        [OPTION_VM_DISK] = WORDS("VmDisk", "vm_disk", parse_vm_disk, vm_disk, "no", vm_disks),
        [OPTION_SERIAL] = TEXT("Serial", "serial", check_serial, values, "ccvm-scratch",
                               "at most 20 of A-Z a-z 0-9 . _ -"),
        [OPTION_MOUNTS] = TEXT("Mounts", "mounts", parse_mounts, mounts, "/scratch:1777",
                               "a list of PATH[:MODE[:UID[:GID[:OPTIONS]]]], absolute, each once, none that "
                               "the system needs"),
        [OPTION_NIX_STORE] = WORDS("NixStore", "nix", parse_word, nix_store, "no", nix_stores),
        [OPTION_FILE_SYSTEM] = WORDS("FileSystem", "fstype", check_word, values, "ext4", file_systems),
        [OPTION_HEADER] = WORDS("Header", "header", parse_word, header, "disk", headers),
        [OPTION_INTEGRITY] = WORDS("Integrity", "integrity", parse_word, integrity, "no", integrities),
        [OPTION_DISCARD] = WORDS("Discard", "discard", parse_bool_option, discard, "yes", booleans),
        [OPTION_DEVICE_TIMEOUT] =
                TEXT("DeviceTimeoutSec", "device_timeout", parse_timeout, device_timeout_sec, "10",
                     "1s to 1h in whole seconds, such as 30s or 1min 20s"),
        [OPTION_SETUP_TIMEOUT] = TEXT("SetupTimeoutSec", "setup_timeout", parse_timeout, setup_timeout_sec,
                                      "10", "1s to 1h in whole seconds, such as 30s or 1min 20s"),
        [OPTION_FALLBACK] = WORDS("Fallback", "fallback", parse_word, fallback, "tmpfs", fallbacks),
        [OPTION_FALLBACK_SIZE] = TEXT("FallbackSize", "tmpfs_size", parse_fallback_size, fallback_size,
                                      "50%", "1% to 100%, or a size of at least 1M, such as 512M or 2GiB"),
        [OPTION_ON_CLONE] = WORDS("OnClone", "on_clone", parse_word, on_clone, "warn", on_clones),
};

/* Writes the key as words, "nix_store" for "NixStore", into buffer. */
static const char *split_key(const char *key, char buffer[static KEY_MAX]) {
        char *p = buffer;

        for (const char *k = key; *k; k++) {
                if (k > key && isupper((unsigned char) *k))
                        *p++ = '_';
                *p++ = tolower((unsigned char) *k);
        }
        *p = 0;
        return buffer;
}

int option_find(const char *word, bool for_cmdline) {
        char words[KEY_MAX];

        for (int i = 0; i < _OPTION_MAX; i++)
                if (for_cmdline ? cmdline_key_equal(config_options[i].name, word) ||
                                          cmdline_key_equal(split_key(config_options[i].key, words), word)
                                : streq(config_options[i].key, word))
                        return i;
        return -ENOENT;
}

char *option_accepts(const Option *o) {
        char *text = text_copy(o->accepts ?: o->words[0]);

        for (size_t i = 1; o->words && o->words[i]; i++)
                text_append(&text, ", %s", o->words[i]);
        return text;
}

bool option_is_boolean(const Option *o) {
        return o->words == booleans || o->words == vm_disks;
}
