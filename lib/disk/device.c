/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "device.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <systemd/sd-device.h>

#include "parse.h"

void device_done(Device *d) {
        free(TAKE_PTR(d->node));
}

bool device_serial_matches(const char *text, size_t size, const char *serial) {
        size_t n = strlen(serial);

        while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\n'))
                size--;
        for (; size > 0 && *text == ' '; size--)
                text++;
        return size == n && memcmp(text, serial, n) == 0;
}

/* SCSI and SATA: vital product data, page 0x80, of which four bytes stand before the serial. */
#define VPD_HEADER 4

static bool has_scsi_serial(sd_device *d, const char *serial) {
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = -EBADF;
        const char *directory;
        char text[256];
        ssize_t n;

        if (sd_device_get_syspath(d, &directory) < 0 || asprintf(&path, "%s/device/vpd_pg80", directory) < 0)
                return false;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        n = read(fd, text, sizeof(text));
        return n >= VPD_HEADER && device_serial_matches(text + VPD_HEADER, n - VPD_HEADER, serial);
}

/* Compares the serial of a disk: virtio-blk shows it on the disk, NVMe, MMC and USB on what the disk belongs
 * to. udev's rule goes by the same (generator/rules.c). */
static bool has_serial(sd_device *disk, const char *serial) {
        sd_device *d = disk;
        const char *text;

        do {
                if (sd_device_get_sysattr_value(d, "serial", &text) >= 0 &&
                    device_serial_matches(text, strlen(text), serial))
                        return true;
        } while (sd_device_get_parent(d, &d) >= 0);
        return has_scsi_serial(disk, serial);
}

/* A CD is a whole disk too, for the kernel. */
static bool is_disk(sd_device *d) {
        const char *type, *name;

        return sd_device_get_devtype(d, &type) >= 0 && streq(type, "disk") &&
               sd_device_get_sysname(d, &name) >= 0 && !startswith(name, "sr");
}

/* Finds the node of the one disk in sysfs that has this serial. -ENODEV, -ENOTUNIQ. */
static int find_node(const char *serial, char **ret) {
        _cleanup_(sd_device_enumerator_unrefp) sd_device_enumerator *e = NULL;
        _cleanup_free_ char *node = NULL;
        int r;

        r = sd_device_enumerator_new(&e);
        if (r < 0)
                return r;
        r = sd_device_enumerator_add_match_subsystem(e, "block", 1);
        if (r < 0)
                return r;
        /* What the kernel shows is enough: nothing that udev would add is asked for. */
        r = sd_device_enumerator_allow_uninitialized(e);
        if (r < 0)
                return r;

        for (sd_device *d = sd_device_enumerator_get_device_first(e); d;
             d = sd_device_enumerator_get_device_next(e)) {
                const char *name;
                /* The single path of an NVMe multipath disk has no node. */
                if (sd_device_get_devname(d, &name) < 0 || !is_disk(d) || !has_serial(d, serial))
                        continue;
                if (node)
                        return -ENOTUNIQ;
                node = strdup(name);
                if (!node)
                        return -ENOMEM;
        }
        if (!node)
                return -ENODEV;
        *ret = TAKE_PTR(node);
        return 0;
}

/* Opens the disk and looks at it. An exclusive open of a block device is refused while a file system, swap
 * or another mapping has it, or has a partition of it (open(2), O_EXCL). It is for the asking only:
 * libcryptsetup opens the disk itself. */
static int check_disk(uint64_t size_min, Failure *f, Device *d) {
        _cleanup_close_ int fd = open(d->node, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK);
        struct stat st;
        int read_only;

        if (fd < 0 && errno == EBUSY)
                return failure_set(f, REASON_DEVICE_IN_USE, EBUSY, "'%s' is in use", d->node);
        if (fd < 0 || fstat(fd, &st) < 0)
                return failure_set(f, REASON_INTERNAL, errno, "Failed to open '%s'", d->node);
        if (!S_ISBLK(st.st_mode))
                return failure_set(f, REASON_INTERNAL, ENOTBLK, "'%s' is not what the kernel shows",
                                   d->node);
        if (ioctl(fd, BLKROGET, &read_only) < 0 || ioctl(fd, BLKGETSIZE64, &d->size) < 0)
                return failure_set(f, REASON_INTERNAL, errno, "Failed to ask for the size of '%s'", d->node);
        if (read_only)
                return failure_set(f, REASON_DEVICE_READ_ONLY, EROFS, "'%s' is attached read-only", d->node);
        if (d->size < size_min)
                return failure_set(f, REASON_DEVICE_TOO_SMALL, ENOSPC,
                                   "'%s' has %" PRIu64 " bytes, at least %" PRIu64 " are needed", d->node,
                                   d->size, size_min);
        d->number = st.st_rdev;
        return 0;
}

int device_find(const char *serial, uint64_t size_min, Failure *f, Device *ret) {
        int r;

        r = find_node(serial, &ret->node);
        if (r == -ENODEV)
                return failure_set(f, REASON_DEVICE_TIMEOUT, r, "No disk has the serial '%s'", serial);
        if (r == -ENOTUNIQ)
                return failure_set(f, REASON_DEVICE_AMBIGUOUS, r, "Several disks have the serial '%s'",
                                   serial);
        if (r < 0)
                return failure_set(f, REASON_INTERNAL, r, "Failed to list the block devices");
        return check_disk(size_min, f, ret);
}

static void lower_attribute(sd_device *device, const char *name, uint64_t max) {
        char text[24];
        const char *value;
        uint64_t current;

        if (sd_device_get_sysattr_value(device, name, &value) < 0 ||
            parse_unsigned(value, UINT64_MAX, &current) < 0 || current <= max)
                return;
        (void) snprintf(text, sizeof(text), "%" PRIu64, max);
        (void) sd_device_set_sysattr_value(device, name, text);
}

void device_limit_queue(const Device *d) {
        _cleanup_(sd_device_unrefp) sd_device *device = NULL;

        if (sd_device_new_from_devnum(&device, 'b', d->number) < 0)
                return;
        lower_attribute(device, "queue/nr_requests", 128);
        lower_attribute(device, "queue/max_sectors_kb", 256);
}
