/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "mounts.h"

#include "escape.h"
#include "log.h"
#include "program.h"
#include "services.h"

/* The generator of the system itself, by which the initrd knows that there is one. */
#define GENERATOR GENERATOR_DIR "/ccvm-scratch-generator"

/* Whether somebody else mounts path, which is said. */
static bool is_claimed(const Writer *w, const char *path) {
        const Claim *same = claims_find(w->claims, path), *above = claims_find_above(w->claims, path);

        if (same)
                log_warning("%s mounts '%s': it is left to that, and is not on the scratch pool.",
                            same->source, path);
        /* Its unit would be pulled in by ours. */
        else if (above && above->noauto)
                log_warning("%s has '%s' as noauto: '%s' below it is not mounted, and is not on the scratch "
                            "pool.",
                            above->source, above->where, path);
        return same || (above && above->noauto);
}

/* Whether the administrator has a unit of the name, which comes before a generator's; that is said. */
static bool is_overridden(const Writer *w, const char *unit) {
        static const char *const directories[] = { "/etc/systemd/system", "/run/systemd/system" };

        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                _cleanup_free_ char *path = NULL;
                if (asprintf(&path, "%s%s/%s", w->root, directories[i], unit) >= 0 &&
                    access(path, F_OK) >= 0) {
                        log_warning("'%s/%s' is there: it is left to that, and is not on the scratch pool.",
                                    directories[i], unit);
                        return true;
                }
        }
        return false;
}

/* The head that all mounts have. None of them requires the pool, so that none can fail because of it: a bind
 * whose source is not there (Fallback=none) is skipped. After both services: the second one only ever runs
 * when the first has failed, and then the mounts have to wait for it. where: the directory that has to be
 * there or to be made, escaped. */
static void print_mount_head(const Writer *w, FILE *f, const char *description, const char *source,
                             const char *where) {
        _cleanup_free_ char *escaped = specifier_escape(source);

        fprintf(f,
                "[Unit]\n"
                "Description=%s\n"
                "Documentation=man:ccvm-scratch-generator(8)\n"
                "# Without a pool (Fallback=none) there is nothing to mount, which is no failure.\n"
                "ConditionPathIsDirectory=%s\n"
                "After=ccvm-scratch-luks.service ccvm-scratch-tmpfs.service\n",
                description, escaped ?: POOL);
        if (w->config->initrd_differs)
                fputs("After=" DIRECTORIES_SERVICE "\n", f);
        if (writer_in_initrd(w))
                fprintf(f,
                        "# A mount point cannot be made on a read-only root: then the real root mounts it.\n"
                        "ConditionPathIsReadWrite=|%s\n"
                        "ConditionPathIsDirectory=|%s\n"
                        "# The root may be replaced until then (systemd.volatile=), and its fstab may\n"
                        "# mount something that this is to lie on.\n"
                        "After=initrd-root-fs.target initrd-parse-etc.service\n"
                        "Before=initrd-fs.target\n",
                        w->sysroot, where);
}

/* Binds POOL/source to the mount point. options: of mount(8). */
static int write_bind(const Writer *w, const char *source, const char *where, const char *options) {
        _cleanup_free_ char *from = NULL, *to = NULL, *name = NULL, *description = NULL, *efrom = NULL,
                            *eto = NULL;
        const Claim *above = claims_find_above(w->claims, where);
        FILE *f;
        int r;

        if (is_claimed(w, where))
                return 0;
        if (asprintf(&from, POOL "%s", source) < 0 || asprintf(&to, "%s%s", w->sysroot, where) < 0)
                return log_oom();
        efrom = specifier_escape(from);
        eto = specifier_escape(to);
        if (!efrom || !eto || asprintf(&description, "Scratch Pool on %s", eto) < 0)
                return log_oom();
        r = unit_name_from_path(to, ".mount", &name);
        if (r < 0)
                return log_error_errno(r, "Failed to make a unit name of '%s'", to);
        if (is_overridden(w, name))
                return 0;

        r = unit_open(w, name, &f);
        if (r < 0)
                return r == -EEXIST ? 0 : r;
        print_mount_head(w, f, description, from, eto);
        fprintf(f,
                "\n"
                "[Mount]\n"
                "What=%s\n"
                "Where=%s\n"
                "Type=none\n"
                "Options=%s%s%s\n",
                efrom, eto, options, above && above->nofail ? ",nofail" : "",
                above && above->netdev ? ",_netdev" : "");
        r = unit_close(f, name);
        return r < 0 ? r : unit_enable(w, "..", name, writer_target(w));
}

/* Upper and work lie on the pool, below the bind of pool/nix: the one thing that can fall back. volatile: no
 * sync, and least of all one of the whole pool when this is unmounted; it needs a work directory that no
 * overlay had before, which the pool of this boot is. */
static int write_overlay(const Writer *w) {
        const char *name = writer_in_initrd(w) ? "sysroot-nix-store.mount" : "nix-store.mount";
        const char *s = w->sysroot, *in_initrd = writer_in_initrd(w) ? "sysroot-" : "";
        FILE *f;
        int r;

        if (is_claimed(w, "/nix/store") || is_overridden(w, name))
                return 0;
        r = unit_open(w, name, &f);
        if (r < 0)
                return r == -EEXIST ? 0 : r;
        /* If the upper cannot be mounted in the initrd, then nor can this. */
        print_mount_head(w, f, "Writable Overlay of the Nix Store", POOL "/nix", "/sysroot/nix/.rw-store");
        if (writer_in_initrd(w))
                fputs("# A lower that comes only with the system: then that mounts this too.\n"
                      "ConditionDirectoryNotEmpty=/sysroot/nix/.ro-store\n",
                      f);
        fprintf(f,
                "RequiresMountsFor=%s/nix/.ro-store\n"
                "# Wanted only: a store that has to stay is not to go with it at a soft-reboot.\n"
                "Wants=%snix-.rw\\x2dstore.mount\n"
                "After=%snix-.rw\\x2dstore.mount\n"
                "\n"
                "[Mount]\n"
                "What=overlay\n"
                "Where=%s/nix/store\n"
                "Type=overlay\n"
                "Options=lowerdir=%s/nix/.ro-store,"
                "upperdir=%s/nix/.rw-store/store,workdir=%s/nix/.rw-store/work,volatile\n",
                s, in_initrd, in_initrd, s, s, s, s);
        r = unit_close(f, name);
        return r < 0 ? r : unit_enable(w, "..", name, writer_target(w));
}

/* In the real root: as what it is, where a link that root has made leads. */
static int write_mount(const Writer *w, const DirSpec *d) {
        _cleanup_free_ char *where = writer_resolve(w, d->path);

        return where ? write_bind(w, d->path, where, dirspec_bind_options(d)) : log_oom();
}

/* Orders the unit after all that is mounted on path, which is below /sysroot, or above it. It is part of the
 * boot anyway. Not WantsMountsFor=, which systemd has only since 256. */
static int print_after_mounts(const char *path, FILE *f) {
        for (const char *end = path; *end;) {
                _cleanup_free_ char *where = NULL, *unit = NULL;
                int r;

                end = strchrnul(end + 1, '/');
                if (asprintf(&where, "/sysroot%.*s", (int) (end - path), path) < 0)
                        return -ENOMEM;
                r = unit_name_from_path(where, ".mount", &unit);
                if (r < 0)
                        return r;
                fprintf(f, "After=%s\n", unit);
        }
        return 0;
}

/* A system with the package mounts these itself, after what it mounts above them: on a separate /var, on a
 * tmpfs on /tmp, on a root that is read-only until then. For one without it is done here, by the program:
 * what is a link below /sysroot is not known before that is mounted. */
static int write_mounts_for_system(const Writer *w) {
        static const char name[] = "ccvm-scratch-mounts.service";
        const Config *c = w->config;
        bool ours[CONFIG_MOUNTS_MAX];
        size_t n = 0;
        FILE *f;
        int r = 0;

        for (size_t i = 0; i < c->n_mounts; i++)
                n += ours[i] = !is_claimed(w, c->mounts[i].path);
        if (n == 0)
                return 0;
        r = unit_open(w, name, &f);
        if (r < 0)
                return r == -EEXIST ? 0 : r;
        fputs("[Unit]\n"
              "Description=Scratch Pool in a System That Does Not Mount It Itself\n"
              "Documentation=man:ccvm-scratch-generator(8)\n"
              "DefaultDependencies=no\n"
              "# Without a pool (Fallback=none) there is nothing to mount, which is no failure.\n"
              "ConditionPathIsMountPoint=" POOL "\n"
              "# A system that has the generator too mounts it in order with its own mounts.\n"
              "ConditionPathExists=!/sysroot" GENERATOR "\n"
              "# The root may be replaced until then (systemd.volatile=), and its fstab may\n"
              "# mount something that this is to lie on.\n"
              "After=initrd-root-fs.target initrd-parse-etc.service\n"
              "After=ccvm-scratch-luks.service ccvm-scratch-tmpfs.service\n"
              "Before=initrd-fs.target\n",
              f);
        r = print_after_mounts(GENERATOR_DIR, f);
        for (size_t i = 0; i < c->n_mounts && r >= 0; i++)
                if (ours[i])
                        r = print_after_mounts(c->mounts[i].path, f);
        fputs("\n"
              "[Service]\n"
              "Type=oneshot\n"
              "RemainAfterExit=yes\n"
              "ExecStart=" SETUP " mount --root=/sysroot",
              f);
        for (size_t i = 0; i < c->n_mounts && r >= 0; i++)
                if (ours[i])
                        r = program_print_mount(&c->mounts[i], f);
        fputs("\n", f);
        if (unit_close(f, name) < 0)
                return -EIO;
        return r < 0 ? r : unit_enable(w, "..", name, writer_target(w));
}

int mounts_write(const Writer *w) {
        const Config *c = w->config;
        int r = 0, q;

        if (writer_in_initrd(w))
                r = write_mounts_for_system(w);
        else
                for (size_t i = 0; i < c->n_mounts; i++) {
                        q = write_mount(w, &c->mounts[i]);
                        r = r < 0 ? r : q;
                }
        if (!streq(c->nix_store, "no")) {
                q = write_bind(w, "/nix", "/nix/.rw-store", "bind");
                r = r < 0 ? r : q;
        }
        if (streq(c->nix_store, "overlay")) {
                q = write_overlay(w);
                r = r < 0 ? r : q;
        }
        return r;
}
