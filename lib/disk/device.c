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

        if (sd_device_get_syspath(d, &directory) < 0 || asprintf(&path, "%s/device/vpd_pg80", directory) < 0)
                return false;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
        return n >= VPD_HEADER && device_serial_matches(text + VPD_HEADER, n - VPD_HEADER, serial);
}

/* virtio-blk shows it on the disk, NVMe, MMC and USB on what the disk belongs to: the same that udev's rule
 * goes by (generator/rules.c). */
static bool has_serial(sd_device *d, const char *serial) {
        const char *text;

        for (sd_device *p = d; p; p = sd_device_get_parent(p, &p) < 0 ? NULL : p)
                if (sd_device_get_sysattr_value(p, "serial", &text) >= 0 &&
                    device_serial_matches(text, strlen(text), serial))
                        return true;
        return has_scsi_serial(d, serial);
}

/* A CD is a whole disk too, for the kernel. */
static bool is_disk(sd_device *d) {
        const char *type, *name;

        return sd_device_get_devtype(d, &type) >= 0 && streq(type, "disk") &&
               sd_device_get_sysname(d, &name) >= 0 && !startswith(name, "sr");
}

/* The node of the disk in sysfs that has this serial; how many have it is in *ret_count. */
static int find_node(const char *serial, char **ret, size_t *ret_count) {
        _cleanup_(sd_device_enumerator_unrefp) sd_device_enumerator *e = NULL;
        _cleanup_free_ char *node = NULL;
        size_t count = 0;
        int r;

        r = sd_device_enumerator_new(&e);
        if (r >= 0)
                r = sd_device_enumerator_add_match_subsystem(e, "block", 1);
        /* What the kernel shows is enough: nothing that udev would add is asked for. */
        if (r >= 0)
                r = sd_device_enumerator_allow_uninitialized(e);
        if (r < 0)
                return r;

        for (sd_device *d = sd_device_enumerator_get_device_first(e); d;
             d = sd_device_enumerator_get_device_next(e)) {
                const char *name;
                /* The single path of an NVMe multipath disk has no node. */
                if (sd_device_get_devname(d, &name) < 0 || !is_disk(d) || !has_serial(d, serial))
                        continue;
                count++;
                free(node);
                node = strdup(name);
                if (!node)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(node);
        *ret_count = count;
        return 0;
}

/* Looks at the opened disk. */
static int check_disk(int fd, const char *node, uint64_t size_min, Status *s, Device *d) {
        struct stat st;
        int read_only;

        if (fstat(fd, &st) < 0)
                return status_fail(s, REASON_INTERNAL, errno, "Failed to look at '%s'", node);
        if (!S_ISBLK(st.st_mode))
                return status_fail(s, REASON_INTERNAL, ENOTBLK, "'%s' is not what the kernel shows", node);
        if (ioctl(fd, BLKROGET, &read_only) < 0 || ioctl(fd, BLKGETSIZE64, &d->size) < 0)
                return status_fail(s, REASON_INTERNAL, errno, "Failed to ask for the size of '%s'", node);
        if (read_only)
                return status_fail(s, REASON_DEVICE_READ_ONLY, EROFS, "'%s' is attached read-only", node);
        if (d->size < size_min)
                return status_fail(s, REASON_DEVICE_TOO_SMALL, ENOSPC,
                                   "'%s' has %llu bytes, at least %llu are needed", node,
                                   (unsigned long long) d->size, (unsigned long long) size_min);
        d->number = st.st_rdev;
        return 0;
}

/* An exclusive open of a block device is refused while a file system, swap or another mapping has it, or has
 * a partition of it (open(2), O_EXCL). It is for the asking only: libcryptsetup opens the disk itself. */
static int check_unused(const char *node, Status *s) {
        _cleanup_close_ int fd = open(node, O_RDWR | O_EXCL | O_CLOEXEC | O_NONBLOCK);

        if (fd >= 0)
                return 0;
        return errno == EBUSY ? status_fail(s, REASON_DEVICE_IN_USE, EBUSY, "'%s' is in use", node)
                              : status_fail(s, REASON_INTERNAL, errno, "Failed to open '%s'", node);
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

int device_find_number(const char *serial, dev_t *ret) {
        _cleanup_free_ char *node = NULL;
        struct stat st;
        size_t count;
        int r;

        r = find_node(serial, &node, &count);
        if (r < 0)
                return r;
        if (count != 1)
                return count == 0 ? -ENODEV : -ENOTUNIQ;
        if (stat(node, &st) < 0)
                return -errno;
        *ret = st.st_rdev;
        return 0;
}

int device_find(const char *serial, uint64_t size_min, Status *s, Device *ret) {
        _cleanup_(device_done) Device d = {};
        _cleanup_close_ int fd = -EBADF;
        size_t count;
        int r;

        r = find_node(serial, &d.node, &count);
        if (r < 0)
                return status_fail(s, REASON_INTERNAL, r, "Failed to list the block devices");
        if (count == 0)
                return status_fail(s, REASON_DEVICE_TIMEOUT, ENODEV, "No disk has the serial '%s'", serial);
        if (count > 1)
                return status_fail(s, REASON_DEVICE_AMBIGUOUS, ENOTUNIQ, "%zu disks have the serial '%s'",
                                   count, serial);
        s->device = strdup(d.node);

        fd = open(d.node, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
                return status_fail(s, REASON_INTERNAL, errno, "Failed to open '%s'", d.node);
        r = check_disk(fd, d.node, size_min, s, &d);
        if (r >= 0)
                r = check_unused(d.node, s);
        if (r < 0)
                return r;

        *ret = d;
        d.node = NULL;
        return 0;
}
