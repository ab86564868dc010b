/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "mounts.h"

#include "escape.h"
#include "log.h"
#include "text.h"

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
                _cleanup_free_ char *path = text_format("%s/%s", directories[i], unit);
                if (!writer_sees(w, path))
                        continue;
                log_warning("'%s' is there: it is left to that, and is not on the scratch pool.", path);
                return true;
        }
        return false;
}

#define AFTER_ROOT                                                                       \
        "# The root may be replaced until then (systemd.volatile=), and its fstab may\n" \
        "# mount something that this is to lie on.\n"                                    \
        "After=initrd-root-fs.target initrd-parse-etc.service\n"

/* For a mount in the system whose mount point is there. When more than a few file systems are mounted in a
 * second, as at the start of each boot, the service manager starts no other mount for the rest of that
 * second: what waits for local-fs-pre.target comes too late. */
static const char early[] = "# Among the first mounts of the boot, for which it needs nothing.\n"
                            "DefaultDependencies=no\n"
                            "Before=local-fs.target umount.target\n"
                            "Conflicts=umount.target\n";

/* Writes the mount unit name, and has it pulled in. None requires the pool, so that none can fail because of
 * it: a bind whose source is not there (Fallback=none) is skipped. After both services: the second one only
 * ever runs when the first has failed, and then the mounts have to wait for it. source, and where, which has
 * to be there or to be made, are escaped. conditions: more lines of [Unit]; mount: those of [Mount]. */
static void write_mount_unit(Writer *w, const char *name, const char *description, const char *source,
                             const char *where, const char *conditions, const char *mount) {
        _cleanup_free_ char *initrd = text_format(
                "# A mount point cannot be made on a read-only root: then the real root mounts it.\n"
                "ConditionPathIsReadWrite=|%s\n"
                "ConditionPathIsDirectory=|%s\n" AFTER_ROOT "Before=initrd-fs.target\n",
                w->sysroot, where);

        if (unit_write(w, name,
                       "[Unit]\n"
                       "Description=%s\n"
                       "Documentation=man:ccvm-scratch-generator(8)\n"
                       "# Without a pool (Fallback=none) there is nothing to mount, which is no failure.\n"
                       "ConditionPathIsDirectory=%s\n"
                       "After=ccvm-scratch-luks.service ccvm-scratch-tmpfs.service\n"
                       "%s%s%s"
                       "\n"
                       "[Mount]\n"
                       "%s",
                       description, source,
                       w->config->initrd_differs ? "After=" DIRECTORIES_SERVICE "\n" : "",
                       writer_in_initrd(w) ? initrd : "", conditions, mount))
                unit_enable(w, "..", name, writer_target(w));
}

/* Binds the pool's directory source to the mount point. d: the entry of Mounts=, for its options; what the
 * pool itself is mounted with is nosuid, nodev. A mount(8) before util-linux 2.39 sets all flags of a bind
 * anew if one of them is on, and none otherwise: where one is to differ all are said, with noatime, which
 * the pool has anyway, on. */
static void write_bind(Writer *w, const char *source, const char *where, const DirSpec *d) {
        _cleanup_free_ char *to = text_format("%s%s", w->sysroot, where),
                            *name = unit_name_from_path(to, ".mount"), *at = specifier_escape(to),
                            *description = text_format("Scratch Pool on %s", at),
                            *escaped = specifier_escape(source),
                            *from = text_format(POOL_DIRECTORY "%s", escaped), *mount = NULL;
        bool differs = d->dev || d->suid || d->noexec;
        const Claim *above = claims_find_above(w->claims, where);

        if (is_claimed(w, where))
                return;
        if (!name) {
                log_error("'%s' is too long for a unit, and is not on the scratch pool.", to);
                w->failed = true;
                return;
        }
        if (is_overridden(w, name))
                return;
        mount = text_format("What=%s\nWhere=%s\nType=none\nOptions=bind%s%s%s%s%s\n", from, at,
                            !differs ? ""
                            : d->dev ? ",noatime,dev"
                                     : ",noatime,nodev",
                            !differs  ? ""
                            : d->suid ? ",suid"
                                      : ",nosuid",
                            d->noexec ? ",noexec" : "", above && above->nofail ? ",nofail" : "",
                            above && above->netdev ? ",_netdev" : "");
        write_mount_unit(w, name, description, from, at,
                         !writer_in_initrd(w) && !above && writer_sees(w, where) ? early : "", mount);
}

/* Upper and work lie on the pool, below the bind of pool/nix: the one thing that can fall back. volatile: no
 * sync, and least of all one of the whole pool when this is unmounted; it needs a work directory that no
 * overlay had before, which the pool of this boot is. */
static void write_overlay(Writer *w) {
        const char *name = writer_in_initrd(w) ? "sysroot-nix-store.mount" : "nix-store.mount";
        const char *s = w->sysroot, *in_initrd = writer_in_initrd(w) ? "sysroot-" : "";
        _cleanup_free_ char *conditions = NULL, *mount = NULL;

        if (is_claimed(w, "/nix/store") || is_overridden(w, name))
                return;
        conditions = text_format(
                "%s"
                "RequiresMountsFor=%s/nix/.ro-store\n"
                "# Wanted only: a store that has to stay is not to go with it at a soft-reboot.\n"
                "Wants=%snix-.rw\\x2dstore.mount\n"
                "After=%snix-.rw\\x2dstore.mount\n",
                writer_in_initrd(w)
                        ? "# A lower that comes only with the system: then that mounts this too.\n"
                          "ConditionDirectoryNotEmpty=/sysroot/nix/.ro-store\n"
                        : "",
                s, in_initrd, in_initrd);
        mount = text_format("What=overlay\n"
                            "Where=%s/nix/store\n"
                            "Type=overlay\n"
                            "Options=lowerdir=%s/nix/.ro-store,"
                            "upperdir=%s/nix/.rw-store/store,workdir=%s/nix/.rw-store/work,volatile\n",
                            s, s, s, s);
        /* If the upper cannot be mounted in the initrd, then nor can this. */
        write_mount_unit(w, name, "Writable Overlay of the Nix Store", POOL_DIRECTORY "/nix",
                         "/sysroot/nix/.rw-store", conditions, mount);
}

/* Orders a unit, by lines in *order, after all that is mounted on path, which is below /sysroot, or above
 * it. It is part of the boot anyway. Not WantsMountsFor=, which systemd has only since 256. */
static void append_after_mounts(char **order, const char *path) {
        for (const char *end = path; *end;) {
                end = strchrnul(end + 1, '/');
                _cleanup_free_ char *where = text_format("/sysroot%.*s", (int) (end - path), path),
                                    *unit = unit_name_from_path(where, ".mount");
                if (unit)
                        text_append(order, "After=%s\n", unit);
        }
}

/* A system with the package mounts these itself, after what it mounts above them: on a separate /var, on a
 * tmpfs on /tmp, on a root that is read-only until then. For one without it is done here, by the program:
 * what is a link below /sysroot is not known before that is mounted. It is told which ones, unless all are
 * ours. */
static void write_mounts_for_system(Writer *w) {
        static const char name[] = "ccvm-scratch-mounts.service";
        const Config *c = w->config;
        _cleanup_free_ char *order = NULL, *paths = NULL;
        size_t n = 0;

        append_after_mounts(&order, GENERATOR_DIR);
        for (size_t i = 0; i < c->n_mounts; i++) {
                const char *path = c->mounts[i].path;
                _cleanup_free_ char *word = exec_escape(path);

                if (is_claimed(w, path))
                        continue;
                n++;
                append_after_mounts(&order, path);
                text_append(&paths, " %s", word);
        }
        if (n == 0)
                return;
        if (unit_write(w, name,
                       "[Unit]\n"
                       "Description=Scratch Pool in a System That Does Not Mount It Itself\n"
                       "Documentation=man:ccvm-scratch-generator(8)\n"
                       "DefaultDependencies=no\n"
                       "# Without a pool (Fallback=none) there is nothing to mount, which is no failure.\n"
                       "ConditionPathIsMountPoint=" POOL_DIRECTORY "\n"
                       "# A system that has the generator too mounts it in order with its own mounts.\n"
                       "ConditionPathExists=!/sysroot" GENERATOR "\n" AFTER_ROOT
                       "After=ccvm-scratch-luks.service ccvm-scratch-tmpfs.service\n"
                       "Before=initrd-fs.target\n"
                       "%s"
                       "\n"
                       "[Service]\n"
                       "Type=oneshot\n"
                       "RemainAfterExit=yes\n"
                       "ExecStart=" SETUP " mount --root=/sysroot%s\n",
                       order, n < c->n_mounts ? paths : ""))
                unit_enable(w, "..", name, writer_target(w));
}

void mounts_write(Writer *w) {
        const Config *c = w->config;

        if (writer_in_initrd(w))
                write_mounts_for_system(w);
        for (size_t i = 0; i < c->n_mounts && !writer_in_initrd(w); i++) {
                /* As what it is, where a link that root has made leads. */
                _cleanup_free_ char *where = writer_resolve(w, c->mounts[i].path);
                write_bind(w, c->mounts[i].path, where, &c->mounts[i]);
        }
        if (c->nix_store != NIX_STORE_NO)
                write_bind(w, "/nix", "/nix/.rw-store", &(DirSpec) {});
        if (c->nix_store == NIX_STORE_OVERLAY)
                write_overlay(w);
}
