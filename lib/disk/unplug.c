/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "unplug.h"

#include <dirent.h>
#include <systemd/sd-device.h>

#include "fileio.h"
#include "log.h"

/* A driver of the disk alone, and not of a controller with others on it. */
static bool serves_one_disk(sd_device *parent) {
        const char *subsystem;

        return sd_device_get_subsystem(parent, &subsystem) >= 0 &&
               (streq(subsystem, "virtio") || streq(subsystem, "xen"));
}

static int unplug(sd_device *disk) {
        sd_device *parent;
        const char *name;

        if (sd_device_get_parent(disk, &parent) < 0)
                return 0;
        if (sd_device_get_sysattr_value(parent, "delete", NULL) != -ENOENT)
                return sd_device_set_sysattr_value(parent, "delete", "1");
        if (serves_one_disk(parent) && sd_device_get_sysname(parent, &name) >= 0)
                return sd_device_set_sysattr_value(parent, "driver/unbind", name);
        return 0;
}

/* Mappings have devices below them; what has none, and is no mapping, is the disk. */
static int unplug_slaves(sd_device *mapping) {
        _cleanup_free_ char *path = NULL;
        _cleanup_closedir_ DIR *directory = NULL;
        const char *syspath;
        int r;

        r = sd_device_get_syspath(mapping, &syspath);
        if (r < 0)
                return r;
        if (asprintf(&path, "%s/slaves", syspath) < 0)
                return -ENOMEM;
        directory = opendir(path);
        if (!directory)
                return errno == ENOENT ? 0 : -errno;
        for (struct dirent *e; r >= 0 && (e = readdir(directory));) {
                _cleanup_(sd_device_unrefp) sd_device *slave = NULL;

                if (e->d_name[0] == '.' ||
                    sd_device_new_from_subsystem_sysname(&slave, "block", e->d_name) < 0)
                        continue;
                r = unplug_slaves(slave);
                if (r >= 0)
                        r = unplug(slave);
        }
        return r;
}

/* Two numbers, of reads and of writes. */
static bool is_busy(sd_device *mapping) {
        const char *inflight;

        return sd_device_get_sysattr_value(mapping, "inflight", &inflight) >= 0 &&
               strpbrk(inflight, "123456789");
}

int unplug_below(dev_t mapping) {
        _cleanup_(sd_device_unrefp) sd_device *device = NULL;
        int r;

        r = sd_device_new_from_devnum(&device, 'b', mapping);
        if (r < 0 || !is_busy(device))
                return r;
        log_warning("Giving up what is on its way to the scratch disk. The kernel calls that I/O errors.");
        return unplug_slaves(device);
}
