/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "unplug.h"

#include <systemd/sd-device.h>

#include "blockstack.h"
#include "log.h"

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

int unplug_below(dev_t mapping) {
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
