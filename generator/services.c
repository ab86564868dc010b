/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "services.h"

#include <inttypes.h>

#include "escape.h"
#include "mounts.h"
#include "text.h"

#define CHECK_SERVICE "ccvm-scratch-check.service"
#define LUKS_SERVICE "ccvm-scratch-luks.service"
#define DROP_IN ".d/50-ccvm-scratch.conf"
#define POWER_OFF "FailureAction=poweroff-force\n"

/* Lists lines "KEY=UNIT" for the mounts of the pool, with written only for those that have a unit of ours.
 * The caller frees it. */
static char *list_mounts(const Writer *w, const char *key, bool written) {
        static const char *const nix[] = { "/nix/.rw-store", "/nix/store" };
        size_t n = w->config->n_mounts, n_nix = w->config->nix_store == NIX_STORE_NO ? 0 : ELEMENTSOF(nix);
        char *text = text_copy("");

        for (size_t i = 0; i < n + n_nix; i++) {
                _cleanup_free_ char *path = i < n ? writer_resolve(w, w->config->mounts[i].path)
                                                  : text_copy(nix[i - n]),
                                    *unit = unit_name_from_path(path, ".mount"),
                                    *file = text_format("%s/%s", w->directory, unit ?: "");
                if (unit && (!written || access(file, F_OK) >= 0))
                        text_append(&text, "%s=%s\n", key, unit);
        }
        return text;
}

/* Lists lines "KEY=" by which what is on the pool gets the labels of where it is mounted, where there is a
 * policy; in the system the service manager has loaded it by now. The caller frees it. */
static char *list_relabeling(const Writer *w, const char *key) {
        char *text = text_copy("");

        if (writer_in_initrd(w) || !writer_sees(w, "/sys/fs/selinux/enforce"))
                return text;
        text_append(&text, "%s=-restorecon -i", key);
        for (size_t i = 0; i < w->config->n_mounts; i++) {
                _cleanup_free_ char *word = exec_escape(w->config->mounts[i].path);
                text_append(&text, " %s", word);
        }
        text_append(&text, "\n");
        if (w->config->nix_store != NIX_STORE_NO)
                text_append(&text, "%s=-restorecon -i -R /nix/.rw-store\n", key);
        return text;
}

static void write_luks(Writer *w, const char *node, const char *device) {
        const Config *c = w->config;
        _cleanup_free_ char *order = NULL,
                            *relabel = c->hotplug ? list_relabeling(w, "ExecStartPost") : text_copy("");

        if (c->hotplug)
                order = text_format(
                        "# Whoever starts it without a disk does not spend the only attempt.\n"
                        "ConditionPathExists=%s\n"
                        "# A disk that is there in a boot is mounted on top of the system's own mounts.\n"
                        "After=local-fs.target\n",
                        node);
        else
                order = text_format(
                        "# Not Requires=: if the disk does not come the program runs, says so, and fails.\n"
                        "Wants=%s\n"
                        "After=%s\n"
                        "Before=%s\n",
                        device, device, writer_target(w));
        unit_write(w, LUKS_SERVICE DROP_IN,
                   "[Unit]\n"
                   "%s"
                   "\n"
                   "[Service]\n"
                   "TimeoutStartSec=%" PRIu64 "s\n"
                   "%s",
                   order, c->setup_timeout_sec, relabel);
}

static const char *power_off(const Config *c) {
        return config_fallback(c) == FALLBACK_FAIL ? POWER_OFF : "";
}

/* Pulled in by the boot and not by its mounts: also where none of them is left. */
static void write_pool(Writer *w) {
        const Config *c = w->config;
        _cleanup_free_ char *node = text_format("/dev/disk/by-id/virtio-%s", c->values[OPTION_SERIAL].text),
                            *device = unit_name_from_path(node, ".device"),
                            *wait = text_format("%s" DROP_IN, device);

        if (c->vm_disk)
                write_luks(w, node, device);
        if (c->hotplug) {
                /* A soft-reboot keeps the device unit of a plugged disk as it was, so that the disk does not
                 * start the service once more. What does instead is part of every boot, and nothing waits
                 * for it. */
                if (writer_sees(w, node))
                        unit_enable(w, UNIT_DIR, LUKS_SERVICE, "systemd-udev-trigger.service");
                return;
        }
        /* The wait is bounded on the device, not on the service: JobTimeoutSec= there would count the
         * running program too, and the fallback would be mounted while mkfs still runs. */
        if (c->vm_disk)
                unit_write(w, wait, "[Unit]\nJobRunningTimeoutSec=%" PRIu64 "s\n", c->device_timeout_sec);
        unit_write(w, "ccvm-scratch-tmpfs.service" DROP_IN, "[Unit]\nBefore=%s\n%s", writer_target(w),
                   power_off(c));
        unit_enable(w, UNIT_DIR, c->vm_disk ? LUKS_SERVICE : "ccvm-scratch-tmpfs.service", writer_target(w));
}

/* Whether the early boot must not wait for all mounts: what one of them needs may itself wait for it. */
static bool has_late_mount(const Writer *w) {
        for (size_t i = 0; i < w->config->n_mounts; i++) {
                _cleanup_free_ char *path = writer_resolve(w, w->config->mounts[i].path);
                if (claims_come_late(w->claims, path))
                        return true;
        }
        return w->config->nix_store != NIX_STORE_NO && claims_come_late(w->claims, "/nix/.rw-store");
}

/* Lists the conditions under which something is missing; for want of any the program looks. */
static char *list_conditions(const Writer *w) {
        char *text = text_copy("# The program runs if something is missing.\n"
                               "ConditionPathExists=|!" STATUS_PATH "\n");

        for (size_t i = 0; i < w->config->n_mounts; i++) {
                _cleanup_free_ char *path = writer_resolve(w, w->config->mounts[i].path),
                                    *escaped = specifier_escape(path);
                text_append(&text, "ConditionPathIsMountPoint=|!%s\n", escaped);
        }
        return text;
}

/* The look at what has become of the mounts, in the system: when each of ours is there or has failed (what
 * somebody else mounts is looked at as it is then), and, but where one of them may come late, before anybody
 * uses them. If all are ours the service manager sees by itself whether there is anything to say; but not
 * where what is missing powers off, nor of /nix/store, which may be a mount point without us. */
static void write_check(Writer *w) {
        _cleanup_free_ char *after = list_mounts(w, "After", true), *all = list_mounts(w, "After", false),
                            *conditions = list_conditions(w);
        bool sure = streq(after, all) && config_fallback(w->config) != FALLBACK_FAIL &&
                    w->config->nix_store == NIX_STORE_NO;

        unit_write(w, CHECK_SERVICE DROP_IN, "[Unit]\n%s%s%s%s", after,
                   has_late_mount(w) ? "" : "Before=sysinit.target\n", power_off(w->config),
                   sure ? conditions : "");
        unit_enable(w, UNIT_DIR, CHECK_SERVICE, "sysinit.target");
}

/* The directories of the pool were made without a label, in the initrd before there was a policy. By
 * restorecon: Debian's policy lets neither a generator write for systemd-tmpfiles, nor systemd-tmpfiles look
 * at what has no label. */
static void write_relabel(Writer *w) {
        static const char name[] = "ccvm-scratch-relabel.service";
        _cleanup_free_ char *lines = list_relabeling(w, "ExecStart"),
                            *after = list_mounts(w, "After", false);

        if (*lines &&
            unit_write(w, name,
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
                       after, lines))
                unit_enable(w, "..", name, "local-fs.target");
}

/* A disk that is hot-plugged brings along what is otherwise of the boot. */
static void enable_for_disk(Writer *w, const char *unit, const char *target) {
        unit_enable(w, UNIT_DIR, unit, w->config->hotplug ? LUKS_SERVICE : target);
}

/* A renewal does in the running system what was done for the boot. Before that it waits for a look at the
 * health, and for what was sent to the disk, at most ten seconds each, and then all is as it was; the rest
 * is to spare. */
static void write_renew(Writer *w) {
        _cleanup_free_ char *relabel = list_relabeling(w, "ExecStartPost");
        const char *end = power_off(w->config);

        unit_write(w, "ccvm-scratch-renew.service" DROP_IN, "[Service]\nTimeoutStartSec=%" PRIu64 "s\n%s",
                   w->config->setup_timeout_sec + 25, relabel);
        if (*relabel || *end)
                unit_write(w, "ccvm-scratch-recover.service" DROP_IN, "%s%s%s%s%s", *end ? "[Unit]\n" : "",
                           end, *end && *relabel ? "\n" : "", *relabel ? "[Service]\n" : "", relabel);
}

/* What only a disk needs in the system: its end, the look at its health, and what can come in between. */
static void write_around_disk(Writer *w) {
        _cleanup_free_ char *before = list_mounts(w, "Before", false);

        unit_write(w, "ccvm-scratch-shutdown.service" DROP_IN, "[Unit]\n%s", before);
        enable_for_disk(w, "ccvm-scratch-shutdown.service", "sysinit.target");
        enable_for_disk(w, "ccvm-scratch-health.timer", "timers.target");
        write_renew(w);
        enable_for_disk(w, "ccvm-scratch-clone.service", "sysinit.target");
}

/* What a pool in the system has need of, however it comes. */
static void write_around_pool(Writer *w) {
        unit_enable(w, UNIT_DIR, "ccvm-scratch-soft-reboot.service", "soft-reboot.target");
        if (w->config->vm_disk)
                write_around_disk(w);
        if (!w->config->hotplug)
                write_relabel(w);
}

void units_write(Writer *w) {
        if (!w->attempted)
                write_pool(w);
        /* A disk that is hot-plugged is mounted by what sets it up: no boot has anything to do with it. */
        if (w->config->hotplug && !w->attempted) {
                write_around_pool(w);
                return;
        }
        mounts_write(w);
        if (writer_in_initrd(w))
                return;
        if (w->config->initrd_differs)
                unit_enable(w, UNIT_DIR, DIRECTORIES_SERVICE, "local-fs.target");
        write_check(w);
        write_around_pool(w);
}
