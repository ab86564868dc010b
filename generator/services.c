/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "services.h"

#include <inttypes.h>

#include "escape.h"
#include "log.h"
#include "mounts.h"

/* Of the initrd, by the dracut module. */
#define MODULES PROGRAM_DIR "/modules"
#define CHECK_SERVICE "ccvm-scratch-check.service"
#define LUKS_SERVICE "ccvm-scratch-luks.service"
#define DROP_IN ".d/50-ccvm-scratch.conf"
#define POWER_OFF "FailureAction=poweroff-force\n"

/* Lists lines "KEY=UNIT" for the mounts of the pool, with written only for those that have a unit of ours.
 * The caller frees it; NULL, logged, if out of memory. */
static char *list_mounts(const Writer *w, const char *key, bool written) {
        static const char *const nix[] = { "/nix/.rw-store", "/nix/store" };
        size_t n = w->config->n_mounts, n_nix = w->config->nix_store == NIX_STORE_NO ? 0 : ELEMENTSOF(nix);
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        for (size_t i = 0; f && i < n + n_nix; i++) {
                _cleanup_free_ char *unit = NULL, *file = NULL;

                if ((i < n ? writer_name_mount(w, w->config->mounts[i].path, &unit)
                           : unit_name_from_path(nix[i - n], ".mount", &unit)) >= 0 &&
                    asprintf(&file, "%s/%s", w->directory, unit) >= 0 &&
                    (!written || access(file, F_OK) >= 0))
                        fprintf(f, "%s=%s\n", key, unit);
        }
        if (f && fclose(f) == 0)
                return text;
        log_oom();
        return NULL;
}

/* Lists lines "KEY=" by which what is on the pool gets the labels of where it is mounted, where there is a
 * policy; in the system the service manager has loaded it by now. As list_mounts(). */
static char *list_relabeling(const Writer *w, const char *key) {
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (f && !writer_in_initrd(w) && writer_sees(w, "/sys/fs/selinux/enforce")) {
                fprintf(f, "%s=-restorecon -i", key);
                for (size_t i = 0; i < w->config->n_mounts; i++) {
                        _cleanup_free_ char *word = exec_escape(w->config->mounts[i].path);
                        fprintf(f, " %s", word ?: "/");
                }
                fputs("\n", f);
                if (w->config->nix_store != NIX_STORE_NO)
                        fprintf(f, "%s=-restorecon -i -R /nix/.rw-store\n", key);
        }
        if (f && fclose(f) == 0)
                return text;
        log_oom();
        return NULL;
}

/* Bounds the wait for the disk. On the device, not on the service: JobTimeoutSec= there would count the
 * running program too, and the fallback would be mounted while mkfs still runs. */
static int write_device(const Writer *w, const char *device) {
        _cleanup_free_ char *name = NULL;

        if (asprintf(&name, "%s" DROP_IN, device) < 0)
                return log_oom();
        return unit_write(w, name, "[Unit]\nJobRunningTimeoutSec=%" PRIu64 "s\n",
                          w->config->device_timeout_sec);
}

/* The cipher's modules from the tree in which the kernel does not look. By their aliases, as the kernel asks
 * for them; whose CPU cannot do it, or who has it built in, has nothing to load. */
static const char load_modules[] = "ExecStartPre=+-modprobe --dirname=" MODULES " --all --quiet \\\n"
                                   "        dm-crypt crypto-aes crypto-aes-all crypto-xts(aes)\n";

static int write_luks(const Writer *w, const char *node, const char *device) {
        const Config *c = w->config;
        _cleanup_free_ char *order = NULL, *relabel = NULL;
        int n;

        if (c->hotplug)
                n = asprintf(
                        &order,
                        "# Whoever starts it without a disk does not spend the only attempt.\n"
                        "ConditionPathExists=%s\n"
                        "# A disk that is there in a boot is mounted on top of the system's own mounts.\n"
                        "After=local-fs.target\n",
                        node);
        else
                n = asprintf(
                        &order,
                        "# Not Requires=: if the disk does not come the program runs, says so, and fails.\n"
                        "Wants=%s\n"
                        "After=%s\n"
                        "Before=%s\n",
                        device, device, writer_target(w));
        relabel = c->hotplug ? list_relabeling(w, "ExecStartPost") : strdup("");
        if (n < 0 || !relabel)
                return log_oom();
        return unit_write(w, LUKS_SERVICE DROP_IN,
                          "[Unit]\n"
                          "%s"
                          "\n"
                          "[Service]\n"
                          "TimeoutStartSec=%" PRIu64 "s\n"
                          "%s%s",
                          order, c->setup_timeout_sec,
                          writer_in_initrd(w) && writer_sees(w, MODULES) ? load_modules : "", relabel);
}

static const char *power_off(const Config *c) {
        return config_fallback(c) == FALLBACK_FAIL ? POWER_OFF : "";
}

/* A soft-reboot keeps the device unit of a plugged disk as it was, so that the disk does not start the
 * service once more. What does instead is part of every boot, and nothing waits for it. */
static int start_for_disk_from_before(const Writer *w, const char *node) {
        return writer_sees(w, node) ? unit_enable(w, UNIT_DIR, LUKS_SERVICE, "systemd-udev-trigger.service")
                                    : 0;
}

/* Pulled in by the boot and not by its mounts: also where none of them is left. */
static int write_pool(const Writer *w) {
        const Config *c = w->config;
        _cleanup_free_ char *node = NULL, *device = NULL;
        int r;

        if (asprintf(&node, "/dev/disk/by-id/virtio-%s", c->serial) < 0)
                return log_oom();
        r = unit_name_from_path(node, ".device", &device);
        if (r < 0)
                return log_error_errno(r, "Failed to make a unit name of '%s'", node);
        if (c->vm_disk) {
                r = write_luks(w, node, device);
                if (r < 0)
                        return r;
        }
        if (c->hotplug)
                return start_for_disk_from_before(w, node);
        if (c->vm_disk) {
                r = write_device(w, device);
                if (r < 0)
                        return r;
        }
        r = unit_write(w, "ccvm-scratch-tmpfs.service" DROP_IN, "[Unit]\nBefore=%s\n%s", writer_target(w),
                       power_off(c));
        if (r < 0)
                return r;
        return unit_enable(w, UNIT_DIR, c->vm_disk ? LUKS_SERVICE : "ccvm-scratch-tmpfs.service",
                           writer_target(w));
}

/* What Mounts= and NixStore= say here, and did not say in the initrd. */
static int write_directories(const Writer *w) {
        int r = unit_write(w, DIRECTORIES_SERVICE,
                           "[Unit]\n"
                           "Description=Directories That the Initrd Has Not Made in the Scratch Pool\n"
                           "Documentation=man:ccvm-scratch-generator(8)\n"
                           "DefaultDependencies=no\n"
                           "ConditionPathIsMountPoint=" POOL_DIRECTORY "\n"
                           "Before=local-fs.target\n"
                           "\n"
                           "[Service]\n"
                           "Type=oneshot\n"
                           "RemainAfterExit=yes\n"
                           "ExecStart=" SETUP " directories\n");

        return r < 0 ? r : unit_enable(w, "..", DIRECTORIES_SERVICE, "local-fs.target");
}

/* Whether the early boot must not wait for all mounts: what one of them needs may itself wait for it. */
static bool has_late_mount(const Writer *w) {
        for (size_t i = 0; i < w->config->n_mounts; i++) {
                _cleanup_free_ char *path = writer_resolve(w, w->config->mounts[i].path);
                if (path && claims_come_late(w->claims, path))
                        return true;
        }
        return w->config->nix_store != NIX_STORE_NO && claims_come_late(w->claims, "/nix/.rw-store");
}

/* The look at what has become of the mounts, in the system: when each of ours is there or has failed (what
 * somebody else mounts is looked at as it is then), and, but where one of them may come late, before anybody
 * uses them. */
static int write_check(const Writer *w) {
        _cleanup_free_ char *after = list_mounts(w, "After", true);
        int r;

        if (!after)
                return -ENOMEM;
        r = unit_write(w, CHECK_SERVICE DROP_IN, "[Unit]\n%s%s%s", after,
                       has_late_mount(w) ? "" : "Before=sysinit.target\n", power_off(w->config));
        return r < 0 ? r : unit_enable(w, UNIT_DIR, CHECK_SERVICE, "sysinit.target");
}

/* The directories of the pool were made without a label, in the initrd before there was a policy. By
 * restorecon: Debian's policy lets neither a generator write for systemd-tmpfiles, nor systemd-tmpfiles look
 * at what has no label. */
static int write_relabel(const Writer *w) {
        static const char name[] = "ccvm-scratch-relabel.service";
        _cleanup_free_ char *lines = list_relabeling(w, "ExecStart"),
                            *after = list_mounts(w, "After", false);
        int r;

        if (!lines || !after)
                return -ENOMEM;
        if (!*lines)
                return 0;
        r = unit_write(w, name,
                       "[Unit]\n"
                       "Description=SELinux Labels of the Scratch Pool\n"
                       "Documentation=man:ccvm-scratch-generator(8)\n"
                       "DefaultDependencies=no\n"
                       "ConditionSecurity=selinux\n"
                       "%s%s"
                       "\n"
                       "[Service]\n"
                       "Type=oneshot\n"
                       "RemainAfterExit=yes\n"
                       "%s",
                       has_late_mount(w) ? "" : "Before=local-fs.target systemd-tmpfiles-setup.service\n",
                       after, lines);
        return r < 0 ? r : unit_enable(w, "..", name, "local-fs.target");
}

/* A disk that is hot-plugged brings along what is otherwise of the boot. */
static int enable_for_disk(const Writer *w, const char *unit, const char *target) {
        return unit_enable(w, UNIT_DIR, unit, w->config->hotplug ? LUKS_SERVICE : target);
}

static int write_shutdown(const Writer *w) {
        _cleanup_free_ char *before = list_mounts(w, "Before", false);
        int r;

        if (!before)
                return -ENOMEM;
        r = unit_write(w, "ccvm-scratch-shutdown.service" DROP_IN, "[Unit]\n%s", before);
        return r < 0 ? r : enable_for_disk(w, "ccvm-scratch-shutdown.service", "sysinit.target");
}

/* A renewal does in the running system what was done for the boot. Before that it waits for a look at the
 * health, and for what was sent to the disk, at most ten seconds each, and then all is as it was; and behind
 * it for the service manager, three seconds. */
static int write_renew(const Writer *w) {
        _cleanup_free_ char *relabel = list_relabeling(w, "ExecStartPost");
        int r;

        if (!relabel)
                return -ENOMEM;
        r = unit_write(w, "ccvm-scratch-renew.service" DROP_IN,
                       "[Service]\nTimeoutStartSec=%" PRIu64 "s\n%s", w->config->setup_timeout_sec + 25,
                       relabel);
        if (r < 0 || (!*relabel && !*power_off(w->config)))
                return r;
        return unit_write(w, "ccvm-scratch-recover.service" DROP_IN, "%s%s%s%s",
                          *power_off(w->config) ? "[Unit]\n" POWER_OFF : "",
                          *power_off(w->config) && *relabel ? "\n" : "", *relabel ? "[Service]\n" : "",
                          relabel);
}

/* What only a disk needs in the system: its end, the look at its health, and what can come in between. */
static int write_around_disk(const Writer *w) {
        static const char watch[] = "ccvm-scratch-clone.service";
        int r;

        r = write_shutdown(w);
        if (r < 0)
                return r;
        r = enable_for_disk(w, "ccvm-scratch-health.timer", "timers.target");
        if (r < 0)
                return r;
        r = write_renew(w);
        if (r < 0)
                return r;
        /* The watch for clones: early, and once more, if the driver's module has come meanwhile. */
        r = enable_for_disk(w, watch, "sysinit.target");
        return r < 0 || w->config->hotplug ? r : unit_enable(w, UNIT_DIR, watch, "multi-user.target");
}

/* What a pool in the system has need of, however it comes. */
static int write_around_pool(const Writer *w) {
        int r;

        r = unit_enable(w, UNIT_DIR, "ccvm-scratch-soft-reboot.service", "soft-reboot.target");
        if (r >= 0 && w->config->vm_disk)
                r = write_around_disk(w);
        return r < 0 || w->config->hotplug ? r : write_relabel(w);
}

/* When the mounts are written. */
static int write_for_system(const Writer *w) {
        int r = 0;

        if (w->config->initrd_differs)
                r = write_directories(w);
        if (r >= 0)
                r = write_check(w);
        return r < 0 ? r : write_around_pool(w);
}

int units_write(const Writer *w) {
        int r = 0, q = 0;

        if (!w->attempted)
                r = write_pool(w);
        if (r < 0)
                return r;
        /* A disk that is hot-plugged is mounted by what sets it up: no boot has anything to do with it. */
        if (w->config->hotplug && !w->attempted)
                return write_around_pool(w);
        r = mounts_write(w);
        if (!writer_in_initrd(w))
                q = write_for_system(w);
        return r < 0 ? r : q;
}
