/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* shutdown, ExecStop= of ccvm-scratch-shutdown.service: what is not on the disk yet is given up, where to
 * write it could take minutes.
 *
 * When: at every end but a soft-reboot, when the services have stopped and all but the pool itself is
 * unmounted. It must never take the disk from a pool that is still in use, as by an overlay of /nix/store
 * that stays mounted: programs that are yet to run may be on it, and systemd-shutdown(8) removes it. */

#include "verbs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <systemd/sd-device.h>

#include "blockstack.h"
#include "log.h"
#include "luks.h"
#include "mounted.h"
#include "pool.h"
#include "record.h"

/* A driver of the disk alone, and not of a controller with others on it. */
static bool serves_one_disk(sd_device *parent) {
        const char *subsystem;

        return sd_device_get_subsystem(parent, &subsystem) >= 0 &&
               (streq(subsystem, "virtio") || streq(subsystem, "xen"));
}

/* Removes d if it is a disk: what lies on nothing, and has a device of its own above it, as no mapping
 * has. */
static int unplug(const BlockDevice *d, void *userdata) {
        _cleanup_(sd_device_unrefp) sd_device *disk = NULL;
        sd_device *parent;
        const char *name;

        if (!d->directory || !d->lowest || sd_device_new_from_syspath(&disk, d->directory) < 0 ||
            sd_device_get_parent(disk, &parent) < 0)
                return 0;
        if (sd_device_get_sysattr_value(parent, "delete", NULL) != -ENOENT)
                return sd_device_set_sysattr_value(parent, "delete", "1");
        if (serves_one_disk(parent) && sd_device_get_sysname(parent, &name) >= 0)
                return sd_device_set_sysattr_value(parent, "driver/unbind", name);
        return 0;
}

/* Two numbers, of reads and of writes. */
static bool is_busy(sd_device *mapping) {
        const char *inflight;

        return sd_device_get_sysattr_value(mapping, "inflight", &inflight) >= 0 &&
               strpbrk(inflight, "123456789");
}

/* Removes the disk below the mapping with this number, as if it had been unplugged, if I/O of the mapping is
 * under way: on virtio-blk, Xen, and whatever the kernel's SCSI layer serves. dm-crypt may hold gigabytes
 * that it was handed, as PID 1 calls sync(2) when a shutdown begins. They cannot be called back, and nobody
 * will read them: without a disk they fail, where else they would be written. Returns when what the disk was
 * given already is done (device_limit_queue()). 0 also where the kernel cannot, as for the namespace of an
 * NVMe controller that may have others; else what it says. */
static int unplug_below(dev_t mapping) {
        _cleanup_(sd_device_unrefp) sd_device *device = NULL;
        const char *directory;
        int r;

        r = sd_device_new_from_devnum(&device, 'b', mapping);
        if (r < 0 || !is_busy(device))
                return r;
        r = sd_device_get_syspath(device, &directory);
        if (r < 0)
                return r;
        log_warning("Giving up what is on its way to the scratch disk. The kernel calls that I/O errors.");
        return blockstack_walk(directory, unplug, NULL);
}

/* The disk first: a journal is not given up before its superblock is written, behind all that dm-crypt has. */
static void abandon_disk(void) {
        struct stat st;
        int r;

        log_to_kmsg(); /* beside what the kernel says of it */
        r = stat(LUKS_NODE, &st) < 0 ? -errno : unplug_below(st.st_rdev);
        if (r < 0)
                log_warning_errno(r, "Failed to remove the disk: what is not on it yet is written first");
        pool_abandon(AT_FDCWD, POOL_DIRECTORY);
}

int verb_shutdown(const Config *c) {
        _cleanup_(status_done) Status s = {};
        int r;

        r = record_read(&s);
        if (r < 0 || s.state != STATE_ENCRYPTED)
                return r;
        r = mounted_in_use(&s);
        if (r < 0)
                return log_error_errno(r, "Failed to look for users of '%s'", POOL_DIRECTORY);
        if (r > 0) {
                log_info("The scratch pool is still in use, and what is not on the disk yet is written.");
                return 0;
        }
        abandon_disk();
        /* The mapping goes when the pool is unmounted, which is next. */
        r = luks_release();
        if (r < 0)
                return log_error_errno(r, "Failed to remove the mapping '%s'", LUKS_MAPPING);
        return 0;
}
