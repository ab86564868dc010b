/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "services.h"

#include <inttypes.h>

#include "escape.h"
#include "log.h"
#include "program.h"

/* Of the initrd, by the dracut module. */
#define MODULES PROGRAM_DIR "/modules"
#define CHECK_SERVICE "ccvm-scratch-check.service"
#define POWER_OFF "FailureAction=poweroff-force\n"

/* Bounds the wait for the disk. On the device, not on the service: JobTimeoutSec= there would count the
 * running program too, and the fallback would be mounted while mkfs still runs. */
static int write_device(const Writer *w, const char *device) {
        _cleanup_free_ char *name = NULL;
        FILE *f;
        int r;

        if (asprintf(&name, "%s.d/50-ccvm-scratch.conf", device) < 0)
                return log_oom();
        r = unit_open(w, name, &f);
        if (r < 0)
                return r;
        fprintf(f,
                "[Unit]\n"
                "JobRunningTimeoutSec=%" PRIu64 "s\n",
                w->config->device_timeout_sec);
        return unit_close(f, name);
}

/* The cipher's modules from the tree in which the kernel does not look. By their aliases, as the kernel asks
 * for them; whose CPU cannot do it, or who has it built in, has nothing to load. */
static void print_load_modules(const Writer *w, FILE *f) {
        _cleanup_free_ char *path = NULL;

        if (writer_in_initrd(w) && asprintf(&path, "%s" MODULES, w->root) >= 0 && access(path, F_OK) >= 0)
                fputs("ExecStartPre=+-modprobe --dirname=" MODULES " --all --quiet \\\n"
                      "        dm-crypt crypto-aes crypto-aes-all crypto-xts(aes)\n",
                      f);
}

static int write_luks(const Writer *w, const char *node, const char *device) {
        static const char name[] = "ccvm-scratch-luks.service.d/50-ccvm-scratch.conf";
        const Config *c = w->config;
        FILE *f;
        int r;

        r = unit_open(w, name, &f);
        if (r < 0)
                return r;
        if (c->hotplug)
                fprintf(f,
                        "[Unit]\n"
                        "# Whoever starts it without a disk does not spend the only attempt.\n"
                        "ConditionPathExists=%s\n"
                        "# A disk that is there in a boot is mounted on top of the system's own mounts.\n"
                        "After=local-fs.target\n",
                        node);
        else
                fprintf(f,
                        "[Unit]\n"
                        "# Not Requires=: if the disk does not come the program runs, says so, and fails.\n"
                        "Wants=%s\n"
                        "After=%s\n"
                        "Before=%s\n",
                        device, device, writer_target(w));
        fprintf(f,
                "\n"
                "[Service]\n"
                "TimeoutStartSec=%" PRIu64 "s\n"
                "ExecStopPost=\n"
                "ExecStopPost=-" SETUP " close --serial=%s\n",
                c->setup_timeout_sec, c->serial);
        print_load_modules(w, f);
        fputs("ExecStart=\n"
              "ExecStart=" SETUP " encrypt",
              f);
        program_print_set_up(c, f);
        return program_finish(w, name, c->hotplug, f);
}

static int write_tmpfs(const Writer *w) {
        static const char name[] = "ccvm-scratch-tmpfs.service.d/50-ccvm-scratch.conf";
        const Config *c = w->config;
        FILE *f;
        int r;

        r = unit_open(w, name, &f);
        if (r < 0)
                return r;

        if (!c->hotplug)
                fprintf(f,
                        "[Unit]\n"
                        "Before=%s\n"
                        "%s"
                        "\n",
                        writer_target(w), streq(program_fallback_mode(c), "fail") ? POWER_OFF : "");
        fputs("[Service]\n"
              "ExecStart=\n"
              "ExecStart=" SETUP " fallback",
              f);
        program_print_fallback(c, f);
        if (!c->vm_disk)
                fputs(" \\\n        --no-disk", f);
        return program_finish(w, name, false, f);
}

/* A soft-reboot keeps the device unit of a plugged disk as it was, so that the disk does not start the
 * service once more. What does instead is part of every boot, and nothing waits for it. */
static int start_for_disk_from_before(const Writer *w, const char *node) {
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s%s", w->root, node) < 0)
                return log_oom();
        if (access(path, F_OK) < 0)
                return 0;
        return unit_enable(w, UNIT_DIR, "ccvm-scratch-luks.service", "systemd-udev-trigger.service");
}

int services_write(const Writer *w) {
        const Config *c = w->config;
        _cleanup_free_ char *node = NULL, *device = NULL;
        int r;

        if (asprintf(&node, "/dev/disk/by-id/virtio-%s", c->serial) < 0)
                return log_oom();
        r = unit_name_from_path(node, ".device", &device);
        if (r < 0)
                return log_error_errno(r, "Failed to make a unit name of '%s'", node);

        if (c->vm_disk && !c->hotplug)
                r = write_device(w, device);
        if (r >= 0 && c->vm_disk)
                r = write_luks(w, node, device);
        if (r >= 0)
                r = write_tmpfs(w);
        if (r < 0)
                return r;
        if (c->hotplug)
                return start_for_disk_from_before(w, node);
        return unit_enable(w, UNIT_DIR,
                           c->vm_disk ? "ccvm-scratch-luks.service" : "ccvm-scratch-tmpfs.service",
                           writer_target(w));
}

/* What Mounts= and NixStore= say here, and did not say in the initrd. */
static int write_directories(const Writer *w) {
        FILE *f;
        int r;

        r = unit_open(w, DIRECTORIES_SERVICE, &f);
        if (r < 0)
                return r;
        fputs("[Unit]\n"
              "Description=Directories That the Initrd Has Not Made in the Scratch Pool\n"
              "Documentation=man:ccvm-scratch-generator(8)\n"
              "DefaultDependencies=no\n"
              "ConditionPathIsMountPoint=" POOL "\n"
              "Before=local-fs.target\n"
              "\n"
              "[Service]\n"
              "Type=oneshot\n"
              "RemainAfterExit=yes\n"
              "ExecStart=" SETUP " directories",
              f);
        r = program_print_directories(w->config, f);
        if (unit_close(f, DIRECTORIES_SERVICE) < 0)
                return -EIO;
        return r < 0 ? r : unit_enable(w, "..", DIRECTORIES_SERVICE, "local-fs.target");
}

static int print_mount_units(const Config *c, const char *dependency, FILE *f) {
        for (size_t i = 0; i < c->n_mounts; i++) {
                _cleanup_free_ char *unit = NULL;
                int r = unit_name_from_path(c->mounts[i].path, ".mount", &unit);
                if (r < 0)
                        return r;
                fprintf(f, "%s=%s\n", dependency, unit);
        }
        return 0;
}

/* Whether the early boot must not wait for all mounts: what one of them needs may itself wait for it. */
static bool has_late_mount(const Writer *w) {
        for (size_t i = 0; i < w->config->n_mounts; i++)
                if (claims_come_late(w->claims, w->config->mounts[i].path))
                        return true;
        return !streq(w->config->nix_store, "no") && claims_come_late(w->claims, "/nix/.rw-store");
}

static bool is_written(const Writer *w, const char *unit) {
        _cleanup_free_ char *path = NULL;

        return asprintf(&path, "%s/%s", w->directory, unit) >= 0 && access(path, F_OK) >= 0;
}

/* What somebody else mounts is looked at as it is then: nothing is known of when that comes. */
static int print_after_own_mounts(const Writer *w, FILE *f) {
        static const char *const nix[] = { "nix-.rw\\x2dstore.mount", "nix-store.mount" };

        for (size_t i = 0; i < w->config->n_mounts; i++) {
                _cleanup_free_ char *unit = NULL;
                int r = unit_name_from_path(w->config->mounts[i].path, ".mount", &unit);
                if (r < 0)
                        return r;
                if (is_written(w, unit))
                        fprintf(f, "After=%s\n", unit);
        }
        for (size_t i = 0; i < ELEMENTSOF(nix); i++)
                if (is_written(w, nix[i]))
                        fprintf(f, "After=%s\n", nix[i]);
        return 0;
}

/* The look at what has become of the mounts, in the system: when each of them is there or has failed, and,
 * but where one of them may come late, before anybody uses them. */
static int write_check(const Writer *w) {
        static const char name[] = CHECK_SERVICE ".d/50-ccvm-scratch.conf";
        FILE *f;
        int r, q;

        r = unit_open(w, name, &f);
        if (r < 0)
                return r;
        fputs("[Unit]\n", f);
        q = print_after_own_mounts(w, f);
        if (!has_late_mount(w))
                fputs("Before=sysinit.target\n", f);
        if (w->config->vm_disk && streq(w->config->fallback, "fail"))
                fputs(POWER_OFF "\n"
                                "[Service]\n"
                                "ExecStart=\n"
                                "ExecStart=" SETUP " check --mode=fail\n",
                      f);
        r = unit_close(f, name);
        if (r < 0 || q < 0)
                return r < 0 ? r : q;
        return unit_enable(w, UNIT_DIR, CHECK_SERVICE, "sysinit.target");
}

/* The directories of the pool were made without a label, in the initrd before there was a policy. By
 * restorecon: Debian's policy lets neither a generator write for systemd-tmpfiles, nor systemd-tmpfiles look
 * at what has no label. */
static int write_relabel(const Writer *w) {
        static const char name[] = "ccvm-scratch-relabel.service";
        const Config *c = w->config;
        FILE *f;
        int r;

        r = unit_open(w, name, &f);
        if (r < 0)
                return r;
        fputs("[Unit]\n"
              "Description=SELinux Labels of the Scratch Pool\n"
              "Documentation=man:ccvm-scratch-generator(8)\n"
              "DefaultDependencies=no\n"
              "ConditionSecurity=selinux\n",
              f);
        if (!has_late_mount(w))
                fputs("Before=local-fs.target systemd-tmpfiles-setup.service\n", f);
        r = print_mount_units(c, "After", f);
        fputs("\n"
              "[Service]\n"
              "Type=oneshot\n"
              "RemainAfterExit=yes\n",
              f);
        program_print_relabel(c, "ExecStart", f);
        if (unit_close(f, name) < 0)
                return -EIO;
        return r < 0 ? r : unit_enable(w, "..", name, "local-fs.target");
}

/* A disk that is hot-plugged brings along what is otherwise of the boot. */
static int enable_for_disk(const Writer *w, const char *unit, const char *target) {
        return unit_enable(w, UNIT_DIR, unit, w->config->hotplug ? "ccvm-scratch-luks.service" : target);
}

static int write_shutdown(const Writer *w) {
        static const char name[] = "ccvm-scratch-shutdown.service.d/50-ccvm-scratch.conf";
        const Config *c = w->config;
        FILE *f;
        int r;

        r = unit_open(w, name, &f);
        if (r < 0)
                return r;
        fputs("[Unit]\n", f);
        r = print_mount_units(c, "Before", f);
        if (!streq(c->nix_store, "no"))
                fputs("Before=nix-.rw\\x2dstore.mount\nBefore=nix-store.mount\n", f);
        if (unit_close(f, name) < 0)
                return -EIO;
        return r < 0 ? r : enable_for_disk(w, "ccvm-scratch-shutdown.service", "sysinit.target");
}

/* A renewal does in the running system what was done for the boot. Before that it waits for what was sent to
 * the disk: at most ten seconds, and then all is as it was. */
static int write_renew(const Writer *w) {
        static const char name[] = "ccvm-scratch-renew.service.d/50-ccvm-scratch.conf";
        const Config *c = w->config;
        FILE *f;
        int r;

        r = unit_open(w, name, &f);
        if (r < 0)
                return r;
        fprintf(f,
                "[Service]\n"
                "TimeoutStartSec=%" PRIu64 "s\n"
                "ExecStart=\n"
                "ExecStart=" SETUP " renew",
                c->setup_timeout_sec + 10);
        program_print_set_up(c, f);
        return program_finish(w, name, true, f);
}

/* And where it fails, what is done without the disk. */
static int write_recover(const Writer *w) {
        static const char name[] = "ccvm-scratch-recover.service.d/50-ccvm-scratch.conf";
        const Config *c = w->config;
        FILE *f;
        int r;

        r = unit_open(w, name, &f);
        if (r < 0)
                return r;
        fprintf(f,
                "%s"
                "[Service]\n"
                "ExecStart=\n"
                "ExecStart=" SETUP " recover \\\n"
                "        --serial=%s",
                streq(program_fallback_mode(c), "fail") ? "[Unit]\n" POWER_OFF "\n" : "", c->serial);
        program_print_fallback(c, f);
        return program_finish(w, name, true, f);
}

/* The watch for clones, which does nothing in a virtual machine that cannot notice. */
static int write_clone(const Writer *w) {
        static const char unit[] = "ccvm-scratch-clone.service";
        static const char name[] = "ccvm-scratch-clone.service.d/50-ccvm-scratch.conf";
        const Config *c = w->config;
        FILE *f;
        int r;

        r = unit_open(w, name, &f);
        if (r < 0)
                return r;
        fprintf(f,
                "[Service]\n"
                "ExecStart=\n"
                "ExecStart=" SETUP " watch --on-clone=%s --mode=%s --file-system=%s\n",
                c->on_clone, program_fallback_mode(c), c->file_system);
        r = unit_close(f, name);
        /* Early; and once more, if the driver's module has come meanwhile. */
        if (r >= 0)
                r = enable_for_disk(w, unit, "sysinit.target");
        return r < 0 || c->hotplug ? r : unit_enable(w, UNIT_DIR, unit, "multi-user.target");
}

/* What only a disk needs in the system: its end, the look at its health, and what can come in between. */
static int write_around_disk(const Writer *w) {
        int r;

        r = write_shutdown(w);
        if (r >= 0)
                r = enable_for_disk(w, "ccvm-scratch-health.timer", "timers.target");
        if (r >= 0)
                r = write_renew(w);
        if (r >= 0)
                r = write_recover(w);
        return r < 0 ? r : write_clone(w);
}

int services_write_around_pool(const Writer *w) {
        int r;

        r = unit_enable(w, UNIT_DIR, "ccvm-scratch-soft-reboot.service", "soft-reboot.target");
        if (r >= 0 && w->config->vm_disk)
                r = write_around_disk(w);
        return r >= 0 && !w->config->hotplug && program_relabels(w) ? write_relabel(w) : r;
}

int services_write_for_system(const Writer *w) {
        int r = 0;

        if (w->config->initrd_differs)
                r = write_directories(w);
        if (r >= 0)
                r = write_check(w);
        return r < 0 ? r : services_write_around_pool(w);
}
