/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "tags.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "fileio.h"
#include "parse.h"
#include "ramdisk.h"
#include "status.h"

#define FILLER 0xf6
#define FILL_STEP (2 * MIB)

/* For programs; a tmpfs may have half of the RAM besides. */
#define RESERVE (64 * MIB)
#define SHARE_MIN 16 /* of the RAM, however little of it is free */

/* A page of tags cannot be made smaller once all of them are written: it takes a page, an entry of zram's
 * table, and what zsmalloc notes of it. */
#define PAGE 4096
#define PAGE_COST (PAGE + 128)

/* Reads the line of meminfo that begins with key, in KiB. Returns bytes; 0 if there is none. */
static uint64_t read_line(const char *meminfo, const char *key) {
        const char *p = strstr(meminfo, key);

        return p ? strtoull(p + strlen(key), NULL, 10) * KIB : 0;
}

static uint64_t lesser(uint64_t a, uint64_t b) {
        return a < b ? a : b;
}

/* What is in a tmpfs already is not free, and counts as half of the RAM that it may have. */
uint64_t tags_room(const char *meminfo) {
        uint64_t total = read_line(meminfo, "MemTotal:"), available = read_line(meminfo, "MemAvailable:"),
                 shared = read_line(meminfo, "Shmem:"), half = total / 2, room;
        uint64_t reserve = half - lesser(half, shared) + RESERVE;

        room = lesser(half, available - lesser(available, reserve));
        if (room < total / SHARE_MIN)
                room = total / SHARE_MIN;
        return room / PAGE_COST * PAGE;
}

/* Writes the filler to the device, but for its first page, which stays zero: dm-integrity has its superblock
 * there. Direct: one copy less, and no page cache to be written back. */
static int fill(const Device *d) {
        _cleanup_close_ int fd = open(d->node, O_WRONLY | O_DIRECT | O_CLOEXEC);
        _cleanup_free_ void *buffer = NULL;
        int r;

        if (fd < 0)
                return -errno;
        r = posix_memalign(&buffer, FILL_STEP, FILL_STEP);
        if (r != 0)
                return -r;
        /* In large pages the kernel has less to look up. */
        (void) madvise(buffer, FILL_STEP, MADV_HUGEPAGE);
        memset(buffer, FILLER, FILL_STEP);
        for (uint64_t at = PAGE; at < d->size;) {
                ssize_t n = pwrite(fd, buffer, lesser(d->size - at, FILL_STEP), at);
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                at += n;
        }
        return 0;
}

/* Makes the device and notes its name before anything is in it, so that a process that ends what a killed
 * one has left finds it. */
static int make(uint64_t size, Device *ret) {
        _cleanup_free_ char *name = NULL;
        char *node;
        struct stat st;
        int r;

        r = ramdisk_open(size, &name);
        if (r < 0)
                return r;
        r = file_write_atomic(TAGS_PATH, name, 0644);
        if (r < 0) {
                (void) ramdisk_close(name);
                return r;
        }
        if (asprintf(&node, "/dev/%s", name) < 0)
                return -ENOMEM;
        ret->node = node;
        if (stat(node, &st) < 0)
                return -errno;
        ret->number = st.st_rdev;
        ret->size = size;
        return fill(ret);
}

int tags_open(uint64_t size, Failure *f, Device *ret) {
        _cleanup_(device_done) Device d = {};
        int r;

        size = (size + PAGE - 1) / PAGE * PAGE;
        r = make(size, &d);
        if (r < 0)
                (void) tags_close();
        if (r == -ENOENT || r == -ENODEV || r == -ENXIO)
                return failure_set(f, REASON_KERNEL, r, "The kernel has no zram, and no loop");
        if (r < 0)
                return failure_set(f, REASON_FORMAT, r,
                                   "Failed to make a device in RAM of %" PRIu64 " MiB for the tags",
                                   size / MIB);
        *ret = TAKE_DEVICE(d);
        return 0;
}

int tags_close(void) {
        _cleanup_free_ char *name = NULL;
        int r;

        r = file_read(TAGS_PATH, KIB, &name);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        r = ramdisk_close(name);
        if (r < 0)
                return r;
        if (unlink(TAGS_PATH) < 0)
                return -errno;
        return 0;
}
