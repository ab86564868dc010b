/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "claims.h"

#include <mntent.h>

#include "cmdline.h"
#include "escape.h"
#include "parse.h"
#include "place.h"
#include "text.h"

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
static void add(Claims *c, const char *source, const char *path, const char *type, const char *options) {
        struct mntent m = { .mnt_opts = (char *) options ?: "" };
        _cleanup_free_ char *simple = text_copy(path);
        char *where;

        path_simplify(simple);
        const char *below = startswith(simple, "/sysroot"), *clean = below && *below == '/' ? below : simple;
        if (!path_is_clean(clean))
                return; /* "none", or one with "..", which systemd does not mount either */
        if (c->initrd || place_resolve(c->root, clean, &where) < 0)
                where = text_copy(clean);
        c->claims = need_memory(reallocarray(c->claims, c->n + 1, sizeof(Claim)));
        c->claims[c->n++] = (Claim) {
                .where = where,
                .source = source,
                .noauto = hasmntopt(&m, "noauto"),
                .nofail = hasmntopt(&m, "nofail"),
                .netdev = hasmntopt(&m, "_netdev") || is_network(type ?: ""),
        };
}

/* source: what warnings call the file. */
static void add_file(Claims *c, const char *root, const char *path, const char *source) {
        _cleanup_free_ char *full = text_format("%s%s", root, path);
        _cleanup_fclose_ FILE *f = setmntent(full, "re");

        for (struct mntent *m; f && (m = getmntent(f));)
                if (!streq(m->mnt_type, "swap"))
                        add(c, source, m->mnt_dir, m->mnt_type, m->mnt_opts);
}

/* WHAT:WHERE[:TYPE[:OPTIONS]] (systemd-fstab-generator(8)) */
static void on_word(const char *key, const char *value, void *userdata) {
        Claims *c = userdata;

        key = c->initrd ? startswith(key, "rd.") ?: key : key; /* without "rd.": for both */
        if (!value)
                return;
        if (cmdline_key_equal(key, "fstab"))
                c->fstab = parse_boolean(value) != 0;
        if (!cmdline_key_equal(key, "systemd.mount-extra"))
                return;

        _cleanup_free_ char *copy = text_copy(value);
        char *rest = copy;
        (void) strsep(&rest, ":");
        const char *where = strsep(&rest, ":"), *type = strsep(&rest, ":");
        if (where)
                add(c, "systemd.mount-extra=", where, type, rest);
}

void claims_load(Claims *c, const char *root, bool initrd, const char *cmdline) {
        const char *own = getenv("SYSTEMD_FSTAB"), *sysroot = getenv("SYSTEMD_SYSROOT_FSTAB"),
                   *credentials = getenv("CREDENTIALS_DIRECTORY");

        *c = (Claims) { .root = root, .initrd = initrd, .fstab = true };
        cmdline_parse(cmdline, on_word, c);
        if (credentials)
                add_file(c, credentials, "/fstab.extra", "credential fstab.extra");
        if (c->fstab)
                add_file(c, root, own ?: "/etc/fstab", "/etc/fstab");
        if (c->fstab && initrd)
                add_file(c, root, sysroot ?: "/sysroot/etc/fstab", "/sysroot/etc/fstab");
}

const Claim *claims_find(const Claims *c, const char *path) {
        for (size_t i = 0; i < c->n; i++)
                if (streq(c->claims[i].where, path))
                        return &c->claims[i];
        return NULL;
}

const Claim *claims_find_above(const Claims *c, const char *path) {
        const Claim *found = NULL;
        ptrdiff_t longest = 1; /* the root is mounted in any case */

        for (size_t i = 0; i < c->n; i++) {
                const char *rest = startswith(path, c->claims[i].where);
                if (rest && *rest == '/' && rest - path > longest) {
                        found = &c->claims[i];
                        longest = rest - path;
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
