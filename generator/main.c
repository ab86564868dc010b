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
 * Beside the units it writes udev's rule for the disk, and for the other programs /run/ccvm-scratch/config,
 * the options in force, and /run/ccvm-scratch/refused, what of them was not taken. What the initrd has made
 * the pool for it reads from /run/ccvm-scratch/made, which ccvm-scratch-setup has written. */

#include "claims.h"
#include "config.h"
#include "fileio.h"
#include "log.h"
#include "parse.h"
#include "paths.h"
#include "rules.h"
#include "services.h"
#include "text.h"

static bool in_initrd(void) {
        const char *e = getenv("SYSTEMD_IN_INITRD");
        int b = e ? parse_boolean(e) : -EINVAL;

        return b >= 0 ? b : access("/etc/initrd-release", F_OK) >= 0;
}

/* Of the namespace of the kernel's own init: PROC_PID_INIT_INO. */
#define INITIAL_PID_NAMESPACE "pid:[4026531836]"

/* In a container the command line is the host's, and so are the disks. The service manager also takes a VM
 * for one whose image has a file that container engines leave (/.dockerenv); but what is PID 1 of the
 * initial namespace has the kernel, the command line and the disks for itself. */
static bool in_container(const char *root) {
        const char *e = getenv("SYSTEMD_VIRTUALIZATION");
        _cleanup_free_ char *path = text_format("%s/proc/self/ns/pid", root);
        char namespace[sizeof(INITIAL_PID_NAMESPACE) + 1] = "";

        return e && startswith(e, "container:") &&
               (readlink(path, namespace, sizeof(namespace) - 1) < 0 ||
                !streq(namespace, INITIAL_PID_NAMESPACE));
}

/* After a crash the kernel that writes the dump has the command line of the one that crashed. */
static bool in_crash_kernel(const char *root) {
        _cleanup_free_ char *path = text_format("%s/proc/vmcore", root);

        return access(path, F_OK) >= 0;
}

static void write_below(const char *root, const char *name, const char *text) {
        _cleanup_free_ char *path = text_format("%s%s", root, name);
        int r = file_update(path, text);

        if (r < 0)
                log_warning_errno(r, "Failed to write '%s'", name);
}

/* For a generator that runs later and finds no credentials: NixOS binds /run for the real root without the
 * mounts below it, and systemd 255 unmounts them at a soft-reboot. */
static void copy_credentials(const ConfigSources *s) {
        if (s->conf.text)
                write_below(s->root, CREDENTIALS_PATH "/ccvm.conf", s->conf.text);
        if (s->vm_disk.text)
                write_below(s->root, CREDENTIALS_PATH "/ccvm.vm-disk", s->vm_disk.text);
        if (s->fallback.text)
                write_below(s->root, CREDENTIALS_PATH "/ccvm.fallback", s->fallback.text);
}

/* What the initrd has refused was logged there. */
static void log_refused(const Config *c) {
        for (size_t i = c->refused.n_parsed; i < c->refused.n; i++) {
                _cleanup_free_ char *text = refusal_to_string(&c->refused.entries[i]);
                log_warning("Not taken: %s.", text);
        }
        /* Nothing else is used: it is told now, and not when there is a clone. */
        if (c->vm_disk && c->on_clone == ON_CLONE_RENEW && c->nix_store != NIX_STORE_NO)
                log_warning("OnClone=renew does not go with NixStore=%s, whose store cannot be taken from a "
                            "running system: %s instead.",
                            c->values[OPTION_NIX_STORE].text,
                            c->fallback == FALLBACK_FAIL ? "a clone will be powered off"
                                                         : "the key of a clone will be wiped");
}

/* For ccvm-scratch(1); in the initrd for the real root, whose generator adds to it what it refuses itself.
 * What was refused once may be mended by now, or be nothing that matters any more. */
static void tell_refused(const Config *c, const char *root, bool matters) {
        const char *name = in_initrd() ? REFUSED_BY_INITRD_PATH : REFUSED_PATH;
        _cleanup_free_ char *text = refusals_format(&c->refused), *path = text_format("%s%s", root, name);

        if (*text && matters)
                write_below(root, name, text);
        else
                (void) unlink(path);
}

/* For a c that asks for something. Returns whether all could be written. */
static bool write_all(const Config *c, const ConfigSources *s, const char *directory) {
        _cleanup_(claims_done) Claims claims = {};
        bool initrd = in_initrd();
        Writer w = {
                .config = c,
                .directory = directory,
                .root = s->root,
                .sysroot = initrd ? "/sysroot" : "",
                .claims = &claims,
                .attempted = s->attempted,
        };

        /* Not the end of the others if it fails: on virtio-blk udev's own link does too. The initrd's is not
         * even looked at: SELinux may forbid it to a generator. */
        if (c->vm_disk && (!s->attempted || c->hotplug)) {
                _cleanup_free_ char *rules = rules_format(c, c->hotplug && !initrd && !s->attempted);
                write_below(s->root, RULES_PATH, rules);
        }
        /* Nothing waits for a disk that is yet to come, so nothing else of it concerns the initrd. */
        if (c->hotplug && initrd)
                return true;
        write_below(s->root, CONFIG_PATH, c->text);
        claims_load(&claims, s->root, initrd, s->cmdline.text ?: "");
        units_write(&w);
        return !w.failed;
}

/* Returns whether all could be written. */
static bool run(const char *directory) {
        const char *root = getenv("CCVM_SCRATCH_GENERATOR_ROOT") ?: "";
        _cleanup_(config_sources_done) ConfigSources sources = {};
        _cleanup_(config_done) Config c = {};

        if (in_container(root))
                return true;
        config_find_sources(&sources, root, getenv("CREDENTIALS_DIRECTORY"), in_initrd());
        config_load(&c, &sources);
        log_refused(&c);

        bool nix = c.nix_store != NIX_STORE_NO, asked = c.vm_disk || nix;
        if (asked && in_crash_kernel(root))
                return true;
        tell_refused(&c, root, asked || c.marker_unknown);
        if (!asked)
                return true;
        if (c.n_mounts == 0 && !nix) {
                log_warning("A disk is attached, but Mounts= is empty and NixStore=no: it is not used.");
                return true;
        }
        copy_credentials(&sources);
        return write_all(&c, &sources, directory);
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
        return run(argv[1]) ? EXIT_SUCCESS : EXIT_FAILURE;
}
