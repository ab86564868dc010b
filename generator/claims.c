/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "claims.h"

#include <mntent.h>

#include "cmdline.h"
#include "escape.h"
#include "parse.h"

/* Those that systemd takes for such (fstype_is_network()), as far as an fstab has them. */
static bool is_network(const char *type) {
        static const char *const types[] = {
                "afs", "ceph", "cifs", "davfs", "glusterfs", "lustre", "nfs", "nfs4", "smb3", "sshfs",
        };

        type = startswith(type, "fuse.") ?: type;
        for (size_t i = 0; i < ELEMENTSOF(types); i++)
                if (streq(types[i], type))
                        return true;
        return false;
}

/* path: as it is, or below /sysroot (as NixOS writes it in its initrd). type and options: of mount(8), or
 * NULL. */
static int add(Claims *c, const char *source, const char *path, const char *type, const char *options) {
        struct mntent m = { .mnt_opts = (char *) options ?: "" };
        _cleanup_free_ char *simple = strdup(path);

        if (!simple)
                return -ENOMEM;
        path_simplify(simple);
        const char *below = startswith(simple, "/sysroot"), *where = below && *below == '/' ? below : simple;
        if (!path_is_clean(where))
                return 0; /* "none", or one with "..", which systemd does not mount either */
        Claim *claims = reallocarray(c->claims, c->n + 1, sizeof(Claim));
        if (!claims)
                return -ENOMEM;
        c->claims = claims;
        claims[c->n] = (Claim) {
                .where = strdup(where),
                .source = source,
                .noauto = hasmntopt(&m, "noauto"),
                .nofail = hasmntopt(&m, "nofail"),
                .netdev = hasmntopt(&m, "_netdev") || is_network(type ?: ""),
        };
        return claims[c->n++].where ? 0 : -ENOMEM;
}

/* source: what warnings call the file. */
static int add_file(Claims *c, const char *root, const char *path, const char *source) {
        _cleanup_free_ char *full = NULL;
        struct mntent *m;
        int r = 0;

        if (asprintf(&full, "%s%s", root, path) < 0)
                return -ENOMEM;
        FILE *f = setmntent(full, "re");
        if (!f)
                return 0;
        while (r >= 0 && (m = getmntent(f)))
                if (!streq(m->mnt_type, "swap"))
                        r = add(c, source, m->mnt_dir, m->mnt_type, m->mnt_opts);
        endmntent(f);
        return r;
}

static int add_credential(Claims *c) {
        const char *directory = getenv("CREDENTIALS_DIRECTORY");

        return directory ? add_file(c, directory, "/fstab.extra", "credential fstab.extra") : 0;
}

typedef struct Words {
        Claims *claims;
        bool initrd;
        bool fstab; /* is to be read */
} Words;

/* An option that the initrd takes with "rd." before it, or, where it is meant for both, as it is. */
static const char *option_name(const Words *w, const char *key) {
        return w->initrd ? startswith(key, "rd.") ?: key : key;
}

/* WHAT:WHERE[:TYPE[:OPTIONS]] (systemd-fstab-generator(8)) */
static int on_word(const char *key, const char *value, void *userdata) {
        Words *w = userdata;

        key = option_name(w, key);
        if (value && cmdline_key_equal(key, "fstab")) {
                w->fstab = parse_boolean(value) != 0;
                return 0;
        }
        if (!value || !cmdline_key_equal(key, "systemd.mount-extra"))
                return 0;

        _cleanup_free_ char *copy = strdup(value);
        char *rest = copy;
        if (!copy)
                return -ENOMEM;
        (void) strsep(&rest, ":");
        const char *where = strsep(&rest, ":"), *type = strsep(&rest, ":");
        return where ? add(w->claims, "systemd.mount-extra=", where, type, rest) : 0;
}

int claims_load(Claims *c, const char *root, bool initrd, const char *cmdline) {
        const char *own = getenv("SYSTEMD_FSTAB"), *sysroot = getenv("SYSTEMD_SYSROOT_FSTAB");
        Words w = { .claims = c, .initrd = initrd, .fstab = true };
        int r;

        *c = (Claims) {};
        r = cmdline_parse(cmdline, on_word, &w);
        if (r >= 0)
                r = add_credential(c);
        if (r >= 0 && w.fstab)
                r = add_file(c, root, own ?: "/etc/fstab", "/etc/fstab");
        if (r >= 0 && w.fstab && initrd)
                r = add_file(c, root, sysroot ?: "/sysroot/etc/fstab", "/sysroot/etc/fstab");
        return r;
}

const Claim *claims_find(const Claims *c, const char *path) {
        for (size_t i = 0; i < c->n; i++)
                if (streq(c->claims[i].where, path))
                        return &c->claims[i];
        return NULL;
}

const Claim *claims_find_above(const Claims *c, const char *path) {
        const Claim *found = NULL;
        size_t longest = 1; /* the root is mounted in any case */

        for (size_t i = 0; i < c->n; i++) {
                const char *where = c->claims[i].where, *rest = startswith(path, where);
                if (rest && *rest == '/' && strlen(where) > longest) {
                        found = &c->claims[i];
                        longest = strlen(where);
                }
        }
        return found;
}

bool claims_come_late(const Claims *c, const char *path) {
        const Claim *claim = claims_find(c, path) ?: claims_find_above(c, path);

        return claim && (claim->nofail || claim->netdev);
}

void claims_done(Claims *c) {
        while (c->n > 0)
                free(c->claims[--c->n].where);
        free(TAKE_PTR(c->claims));
}
