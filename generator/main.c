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
 * which the real root knows what the initrd did, and ccvm-scratch(1) that something was asked for at all; in
 * /run/ccvm-scratch/refused what of it was not taken. And in the initrd copies of our credentials: NixOS
 * binds /run for the real root, without what is mounted below it. */

#include "claims.h"
#include "config.h"
#include "fileio.h"
#include "log.h"
#include "parse.h"
#include "rules.h"
#include "units.h"

#define ATTEMPTED "/run/ccvm-scratch/attempted"
#define ASKED "/run/ccvm-scratch/config"
#define REFUSED "/run/ccvm-scratch/refused"
#define REFUSED_BY_INITRD "/run/ccvm-scratch/refused-by-initrd"
#define CREDENTIALS "/run/ccvm-scratch/credentials"

static bool in_initrd(void) {
        const char *e = getenv("SYSTEMD_IN_INITRD");
        int b = e ? parse_boolean(e) : -EINVAL;

        return b >= 0 ? b : access("/etc/initrd-release", F_OK) >= 0;
}

/* Whether the initrd has set the pool up, or tried to: what it wrote then says so (setup/record.h). */
static bool initrd_has_attempted(const char *root) {
        _cleanup_free_ char *path = NULL, *text = NULL;

        return asprintf(&path, "%s" ATTEMPTED, root) >= 0 && file_read(path, KIB, &text) >= 0 &&
               startswith(text, "initrd");
}

/* Of the namespace of the kernel's own init: PROC_PID_INIT_INO. */
#define INITIAL_PID_NAMESPACE "pid:[4026531836]"

/* In a container the command line is the host's, and so are the disks. The service manager also takes a VM
 * for one whose image has a file that container engines leave (/.dockerenv); but what is PID 1 of the
 * initial namespace has the kernel, the command line and the disks for itself. */
static bool in_container(const char *root) {
        const char *e = getenv("SYSTEMD_VIRTUALIZATION");
        _cleanup_free_ char *path = NULL;
        char namespace[sizeof(INITIAL_PID_NAMESPACE) + 1];

        if (!e || !startswith(e, "container:") || asprintf(&path, "%s/proc/self/ns/pid", root) < 0)
                return false;
        ssize_t n = readlink(path, namespace, sizeof(namespace) - 1);
        namespace[n < 0 ? 0 : n] = 0;
        return !streq(namespace, INITIAL_PID_NAMESPACE);
}

/* After a crash the kernel that writes the dump has the command line of the one that crashed. */
static bool in_crash_kernel(const char *root) {
        _cleanup_free_ char *path = NULL;

        return asprintf(&path, "%s/proc/vmcore", root) >= 0 && access(path, F_OK) >= 0;
}

#define TEXT_MAX (64 * KIB)

/* A file below root, for the caller to free. */
static int read_below(const char *root, const char *name, char **ret) {
        _cleanup_free_ char *path = NULL;

        return asprintf(&path, "%s%s", root, name) < 0 ? -ENOMEM : file_read(path, TEXT_MAX, ret);
}

static void write_below(const char *root, const char *name, const char *text) {
        _cleanup_free_ char *path = NULL;
        int r = asprintf(&path, "%s%s", root, name) < 0 ? -ENOMEM : file_update(path, text);

        if (r < 0)
                log_warning_errno(r, "Failed to write '%s'", name);
}

/* The text of a system credential, for the caller to free. */
static int read_passed_credential(const char *name, char **ret) {
        const char *directory = getenv("CREDENTIALS_DIRECTORY");
        _cleanup_free_ char *path = NULL;

        if (!directory)
                return -ENOENT;
        return asprintf(&path, "/%s", name) < 0 ? -ENOMEM : read_below(directory, path, ret);
}

/* The same; in the real root the initrd's copy, if it was not passed on. NULL if there is none. */
static int read_credential(const char *root, const char *name, char **ret) {
        _cleanup_free_ char *copy = NULL;
        int r;

        r = read_passed_credential(name, ret);
        if (r == -ENOENT && !in_initrd())
                r = asprintf(&copy, CREDENTIALS "/%s", name) < 0 ? -ENOMEM : read_below(root, copy, ret);
        return r == -ENOENT ? 0 : r;
}

static void copy_credentials(const char *root) {
        static const char *const names[] = { "ccvm.conf", "ccvm.vm-disk", "ccvm.fallback" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_free_ char *copy = NULL, *text = NULL;

                if (read_passed_credential(names[i], &text) >= 0 &&
                    asprintf(&copy, CREDENTIALS "/%s", names[i]) >= 0)
                        write_below(root, copy, text);
        }
}

/* systemd's generators read $SYSTEMD_PROC_CMDLINE in their tests; so does this one. */
static int read_cmdline(char **ret) {
        const char *e = getenv("SYSTEMD_PROC_CMDLINE");

        if (!e)
                return file_read("/proc/cmdline", TEXT_MAX, ret);
        *ret = strdup(e);
        return *ret ? 0 : -ENOMEM;
}

/* Reads a credential of one word, which may end as files on the host do. */
static int read_word(const char *root, const char *name, char **ret) {
        int r = read_credential(root, name, ret);

        if (r >= 0 && *ret)
                (*ret)[strcspn(*ret, "\n")] = 0;
        return r;
}

/* cmdline_error: if it could not be read. */
static int load(Config *c, const char *root, bool attempted, const char *cmdline, int cmdline_error) {
        _cleanup_free_ char *conf = NULL, *asked = NULL, *refused = NULL, *vm_disk = NULL, *fallback = NULL;
        ConfigSources sources = { .root = root, .cmdline = cmdline, .cmdline_error = cmdline_error };
        int r;

        sources.conf_error = read_credential(root, "ccvm.conf", &conf);
        sources.vm_disk_error = read_word(root, "ccvm.vm-disk", &vm_disk);
        /* One that cannot be read counts as a word that Fallback= does not take. */
        r = read_word(root, "ccvm.fallback", &fallback);
        sources.fallback = r < 0 ? "" : fallback;
        if (attempted) {
                sources.initrd_error = read_below(root, ASKED, &asked);
                (void) read_below(root, REFUSED_BY_INITRD, &refused);
        }
        sources.initrd = asked;
        sources.refused = refused;
        sources.conf = conf;
        sources.vm_disk = vm_disk;
        r = config_load(c, &sources);
        return r < 0 ? log_error_errno(r, "Failed to read the configuration") : 0;
}

/* For ccvm-scratch(1); in the initrd for the real root, whose generator adds to it what it refuses itself.
 * What was refused once may be mended by now, or be nothing that matters any more. */
static void tell_refused(const Config *c, const char *root, bool matters) {
        const char *name = in_initrd() ? REFUSED_BY_INITRD : REFUSED;
        _cleanup_free_ char *text = NULL, *path = NULL;

        if (refusals_format(&c->refused, &text) < 0 || asprintf(&path, "%s%s", root, name) < 0)
                (void) log_oom();
        else if (*text && matters)
                write_below(root, name, text);
        else
                (void) unlink(path);
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
        write_below(root, ASKED, c->text);
        return units_write(&w);
}

static int run(const char *directory) {
        const char *root = getenv("CCVM_SCRATCH_GENERATOR_ROOT") ?: "";
        _cleanup_free_ char *cmdline = NULL;
        _cleanup_(config_done) Config c = {};
        bool attempted;
        int r;

        if (in_container(root))
                return 0;
        r = read_cmdline(&cmdline);
        if (r == -ENOMEM)
                return log_oom();
        attempted = !in_initrd() && initrd_has_attempted(root);
        r = load(&c, root, attempted, cmdline ?: "", r);
        if (r < 0)
                return r;

        bool nix = !streq(c.nix_store, "no"), asked = c.vm_disk || nix;
        if (asked && in_crash_kernel(root))
                return 0;
        tell_refused(&c, root, asked || c.marker_unknown);
        if (!asked)
                return 0;
        if (c.n_mounts == 0 && !nix) {
                log_warning("A disk is attached, but Mounts= is empty and NixStore=no: it is not used.");
                return 0;
        }
        if (in_initrd())
                copy_credentials(root);
        return write_all(&c, directory, root, attempted, cmdline ?: "");
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
