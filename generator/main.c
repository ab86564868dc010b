/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ccvm-scratch-generator: turns "the host has attached a scratch disk" into units.
 *
 * When: the service manager runs it before any unit, in the initrd and again in the real root, and again at
 * each daemon-reload (systemd.generator(7)). It delays the boot, so: no IPC, no device, no library beyond
 * libc; nothing is emitted, and hardly anything read, where no disk was asked for.
 *
 * It must never fail a boot: a bad value is a warning and a default, and the exit status is 0.
 *
 * In the initrd it has the pool set up, and /nix/store mounted. In the real root, where
 * /run/ccvm-scratch/attempted tells that this was tried, it writes the other mounts, which there come in
 * order with the system's own. Without an initrd the whole graph is written there.
 *
 * Beside the units it writes udev's rule for the disk, and /run/ccvm-scratch/config: what was asked for, by
 * which the real root knows what the initrd did, and ccvm-scratch(1) that something was asked for at all.
 * And in the initrd copies of our credentials: NixOS binds /run for the real root, without what is mounted
 * below it. */

#include "claims.h"
#include "config.h"
#include "fileio.h"
#include "log.h"
#include "parse.h"
#include "rules.h"
#include "units.h"

#define ATTEMPTED "/run/ccvm-scratch/attempted"
#define ASKED "/run/ccvm-scratch/config"
#define CREDENTIALS "/run/ccvm-scratch/credentials"

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

/* In a container the command line is the host's, and so are the disks. */
static bool in_container(void) {
        const char *e = getenv("SYSTEMD_VIRTUALIZATION");

        return e && startswith(e, "container:");
}

/* After a crash the kernel that writes the dump has the command line of the one that crashed. */
static bool in_crash_kernel(const char *root) {
        _cleanup_free_ char *path = NULL;

        return asprintf(&path, "%s/proc/vmcore", root) >= 0 && access(path, F_OK) >= 0;
}

/* What the initrd was asked for, or NULL. The caller frees it. */
static char *read_asked(const char *root) {
        _cleanup_free_ char *path = NULL;
        char *text = NULL;

        return asprintf(&path, "%s" ASKED, root) >= 0 && file_read(path, 64 * KIB, &text) >= 0 ? text : NULL;
}

static void write_asked(const char *root, const char *text) {
        _cleanup_free_ char *path = NULL;
        int r = asprintf(&path, "%s" ASKED, root) < 0 ? -ENOMEM : file_update(path, text);

        if (r < 0)
                log_warning_errno(r, "Failed to write '%s'", ASKED);
}

#define CREDENTIAL_MAX (64 * KIB)

/* The text of a system credential, or NULL. The caller frees it. One that cannot be read counts as empty,
 * and not as if nobody had demanded anything. */
static char *read_passed_credential(const char *name) {
        const char *directory = getenv("CREDENTIALS_DIRECTORY");
        _cleanup_free_ char *path = NULL;
        char *text = NULL;
        int r;

        if (!directory || asprintf(&path, "%s/%s", directory, name) < 0)
                return NULL;
        r = file_read(path, CREDENTIAL_MAX, &text);
        if (r >= 0 || r == -ENOENT)
                return text;
        log_warning_errno(r, "Failed to read credential '%s', taken for empty", name);
        return strdup("");
}

/* The same; in the real root the initrd's copy, if it was not passed on. */
static char *read_credential(const char *root, const char *name) {
        char *text = read_passed_credential(name);
        _cleanup_free_ char *copy = NULL;

        if (!text && !in_initrd() && asprintf(&copy, "%s" CREDENTIALS "/%s", root, name) >= 0)
                (void) file_read(copy, CREDENTIAL_MAX, &text);
        return text;
}

static void copy_credentials(const char *root) {
        static const char *const names[] = { "ccvm.conf", "ccvm.vm-disk", "ccvm.fallback" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_free_ char *copy = NULL, *text = read_passed_credential(names[i]);
                int r;

                if (!text)
                        continue;
                r = asprintf(&copy, "%s" CREDENTIALS "/%s", root, names[i]) < 0 ? -ENOMEM
                                                                                : file_update(copy, text);
                if (r < 0)
                        log_warning_errno(r, "Failed to copy credential '%s'", names[i]);
        }
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

/* A credential of one word, which may end as files on the host do. */
static char *read_word(const char *root, const char *name) {
        char *text = read_credential(root, name);

        if (text)
                text[strcspn(text, "\n")] = 0;
        return text;
}

static int load(Config *c, const char *root, bool attempted, const char *cmdline) {
        _cleanup_free_ char *conf = read_credential(root, "ccvm.conf"), *asked = NULL,
                            *vm_disk = read_word(root, "ccvm.vm-disk"),
                            *fallback = read_word(root, "ccvm.fallback");
        int r;

        if (attempted)
                asked = read_asked(root);
        r = config_load(c, &(ConfigSources) { .root = root,
                                              .initrd = asked,
                                              .conf = conf,
                                              .vm_disk = vm_disk,
                                              .cmdline = cmdline,
                                              .fallback = fallback });
        return r < 0 ? log_error_errno(r, "Failed to read the configuration") : 0;
}

/* For a c that asks for something. */
static int write_all(const Config *c, const char *directory, const char *root, bool attempted,
                     const char *cmdline) {
        _cleanup_(claims_done) Claims claims = {};
        bool initrd = in_initrd();
        int r;

        r = claims_load(&claims, root, initrd, cmdline);
        if (r < 0)
                return log_oom();
        Writer w = {
                .config = c,
                .directory = directory,
                .root = root,
                .sysroot = initrd ? "/sysroot" : "",
                .claims = &claims,
        };

        /* Not the end of the others if it fails: on virtio-blk udev's own link does too. The initrd's is not
         * even looked at: SELinux may forbid it to a generator. */
        if (c->vm_disk && (!attempted || c->hotplug))
                (void) rules_write(c, root, c->hotplug && !initrd && !attempted);
        if (attempted)
                return units_write_mounts(&w);
        /* Nothing waits for a disk that is yet to come, so nothing else of it concerns the initrd. */
        if (c->hotplug && initrd)
                return 0;
        write_asked(root, c->text);
        return units_write(&w);
}

static int run(const char *directory) {
        const char *root = getenv("CCVM_SCRATCH_GENERATOR_ROOT") ?: "";
        _cleanup_free_ char *cmdline = NULL;
        _cleanup_(config_done) Config c = {};
        bool attempted;
        int r;

        if (in_container())
                return 0;
        cmdline = read_cmdline();
        if (!cmdline)
                return log_oom();
        attempted = !in_initrd() && initrd_has_attempted(root);
        r = load(&c, root, attempted, cmdline);
        if (r < 0)
                return r;

        bool nix = !streq(c.nix_store, "no");
        if ((!c.vm_disk && !nix) || in_crash_kernel(root))
                return 0;
        if (c.n_mounts == 0 && !nix) {
                log_warning("A disk is attached, but Mounts= is empty and NixStore=no: it is not used.");
                return 0;
        }
        if (in_initrd())
                copy_credentials(root);
        return write_all(&c, directory, root, attempted, cmdline);
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
