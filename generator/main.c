/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ccvm-scratch-generator: turns "the host has attached a scratch disk" into units.
 *
 * When: the service manager runs it before any unit, in the initrd and again in the real root, and again at
 * each daemon-reload (systemd.generator(7)). It delays the boot, so: no IPC, no device, no library beyond
 * libeconf; nothing is emitted, and hardly anything read, where no disk was asked for.
 *
 * It must never fail a boot: a bad value is a warning and a default, and the exit status is 0.
 *
 * In the initrd the mounts are made below /sysroot. In the real root there is nothing left to do if the
 * initrd has done it, which /run/ccvm-scratch/attempted tells; but what it could not mount, as on a root
 * that is read-only there, is mounted then. Without an initrd the same graph is written there. */

#include <mntent.h>

#include "config.h"
#include "fileio.h"
#include "log.h"
#include "parse.h"
#include "units.h"

#define ATTEMPTED "/run/ccvm-scratch/attempted"

/* The kernel's own limit is 2 to 4 KiB; a boot loader's or a test's may be longer. */
#define CMDLINE_MAX (64 * KIB)

static bool in_initrd(void) {
        const char *e = getenv("SYSTEMD_IN_INITRD");
        int b = e ? parse_boolean(e) : -EINVAL;

        return b >= 0 ? b : access("/etc/initrd-release", F_OK) >= 0;
}

/* Whether the initrd has set the pool up, or tried to: what it wrote then says so (setup/attempt.h). */
static bool initrd_has_attempted(const char *root) {
        _cleanup_free_ char *path = NULL, *text = NULL;

        return asprintf(&path, "%s" ATTEMPTED, root) >= 0 && file_read(path, KIB, &text) >= 0 &&
               startswith(text, "initrd");
}

/* The text of the system credential ccvm.vm-disk, or NULL. The caller frees it. */
static char *read_credential(void) {
        const char *directory = getenv("CREDENTIALS_DIRECTORY");
        _cleanup_free_ char *path = NULL;
        char *text = NULL;
        int r;

        if (!directory || asprintf(&path, "%s/ccvm.vm-disk", directory) < 0)
                return NULL;
        r = file_read(path, KIB, &text);
        if (r < 0) {
                if (r != -ENOENT)
                        log_warning_errno(r, "Failed to read credential '%s', ignored", path);
                return NULL;
        }
        text[strcspn(text, "\n")] = 0; /* as files on the host end */
        return text;
}

/* systemd's generators read $SYSTEMD_PROC_CMDLINE in their tests; so does this one. */
static char *read_cmdline(void) {
        const char *e = getenv("SYSTEMD_PROC_CMDLINE");
        char *text = NULL;
        int r;

        if (e)
                return strdup(e);
        r = file_read("/proc/cmdline", CMDLINE_MAX, &text);
        if (r < 0)
                log_warning_errno(r, "Failed to read '/proc/cmdline', ignored");
        return r < 0 ? strdup("") : text;
}

/* Whether the table at path, an fstab or a list of mounts, has where, as it is or below /sysroot (as NixOS
 * writes it in its initrd). */
static bool table_has(const char *path, const char *where) {
        FILE *f = setmntent(path, "re");
        struct mntent *m;
        bool found = false;

        if (!f)
                return false;
        while (!found && (m = getmntent(f))) {
                const char *below = startswith(m->mnt_dir, "/sysroot");
                found = streq(below ?: m->mnt_dir, where);
        }
        endmntent(f);
        return found;
}

/* Two sources for one mount unit are a race: whoever has /nix/store in an fstab keeps it there. */
static bool nix_store_in_fstab(const char *root, bool initrd) {
        const char *own = getenv("SYSTEMD_FSTAB"), *sysroot = getenv("SYSTEMD_SYSROOT_FSTAB");
        _cleanup_free_ char *own_path = NULL, *sysroot_path = NULL;

        if (asprintf(&own_path, "%s%s", root, own ?: "/etc/fstab") < 0 ||
            asprintf(&sysroot_path, "%s%s", root, sysroot ?: "/sysroot/etc/fstab") < 0)
                return false;
        return table_has(own_path, "/nix/store") || (initrd && table_has(sysroot_path, "/nix/store"));
}

/* Whether there is a pool of which something is not mounted yet. */
static bool mounts_missing(const char *root, const Config *c, bool nix, bool overlay) {
        _cleanup_free_ char *table = NULL;

        if (asprintf(&table, "%s/proc/self/mounts", root) < 0 || !table_has(table, POOL))
                return false;
        for (size_t i = 0; i < c->n_mounts; i++)
                if (!table_has(table, c->mounts[i].path))
                        return true;
        return (nix && !table_has(table, "/nix/.rw-store")) || (overlay && !table_has(table, "/nix/store"));
}

static int run(const char *directory) {
        const char *root = getenv("CCVM_SCRATCH_GENERATOR_ROOT") ?: "";
        _cleanup_free_ char *cmdline = NULL, *credential = NULL;
        _cleanup_(config_done) Config c = {};
        bool initrd = in_initrd();
        int r;

        cmdline = read_cmdline();
        if (!cmdline)
                return log_oom();
        credential = read_credential();
        r = config_load(&c, root, credential, cmdline);
        if (r < 0)
                return log_error_errno(r, "Failed to read the configuration");

        /* Nothing waits for a disk that is yet to come, so nothing of it concerns the initrd. */
        if (c.hotplug && initrd)
                return 0;

        bool nix = !streq(c.nix_store, "no");
        if (!c.vm_disk && !nix)
                return 0;
        if (c.n_mounts == 0 && !nix) {
                log_warning("A disk is attached, but Mounts= is empty and NixStore=no: it is not used.");
                return 0;
        }

        bool overlay = streq(c.nix_store, "overlay") && !nix_store_in_fstab(root, initrd);
        if (initrd || !initrd_has_attempted(root))
                return units_write(&c, directory, initrd ? "/sysroot" : "", overlay);
        if (mounts_missing(root, &c, nix, overlay))
                return units_write_mounts(&c, directory, overlay);
        return 0;
}

int main(int argc, char *argv[]) {
        const char *pid = getenv("SYSTEMD_EXEC_PID");

        log_setup("ccvm-scratch-generator");
        if (pid && atoi(pid) == getpid())
                log_to_kmsg(); /* started by the service manager, which has no journal yet */

        if (argc != 4) {
                log_error("This program takes three directories (systemd.generator(7)), not %i.", argc - 1);
                return 2;
        }
        return run(argv[1]) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
