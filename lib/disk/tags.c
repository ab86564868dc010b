/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "tags.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "clock.h"
#include "fileio.h"
#include "log.h"
#include "mountcalls.h"
#include "parse.h"
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

#define ZRAM_CONTROL "/sys/class/zram-control"

/* udev may have the device open for a moment, to look at it. */
#define REMOVE_TIMEOUT (2 * USEC_PER_SEC)
#define REMOVE_PAUSE_USEC 10000

#define LOOP_TRIES 16

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

static int write_text(const char *path, const char *text) {
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

        return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int zram_remove(const char *number) {
        uint64_t start = now_usec();
        int r;

        do {
                r = write_text(ZRAM_CONTROL "/hot_remove", number);
                if (r != -EBUSY)
                        return r == -ENOENT || r == -ENODEV ? 0 : r;
                (void) usleep(REMOVE_PAUSE_USEC);
        } while (now_usec() - start < REMOVE_TIMEOUT);
        return r;
}

/* Makes a zram whose number is free to take, and gives that. The kernel gives the lowest, to who reads;
 * those before are given back. */
static int zram_add(char **ret) {
        _cleanup_free_ char *number = NULL;
        int r;

        r = file_read(ZRAM_CONTROL "/hot_add", KIB, &number);
        if (r < 0)
                return r;
        number[strcspn(number, "\n")] = 0;
        if (streq(number, "0") || streq(number, "1")) {
                r = zram_add(ret);
                (void) zram_remove(number);
                return r;
        }
        *ret = TAKE_PTR(number);
        return 0;
}

static int zram_open(uint64_t size, char **ret_name) {
        _cleanup_free_ char *number = NULL;
        char path[64], text[24];
        int r;

        r = zram_add(&number);
        if (r < 0)
                return r;
        (void) snprintf(path, sizeof(path), "/sys/block/zram%s/disksize", number);
        (void) snprintf(text, sizeof(text), "%" PRIu64, size);
        r = write_text(path, text);
        if (r >= 0 && asprintf(ret_name, "zram%s", number) < 0)
                r = -ENOMEM;
        if (r < 0)
                (void) zram_remove(number);
        return r;
}

static int make_file(uint64_t size) {
        _cleanup_close_ int fs = -EBADF, mount = -EBADF, fd = -EBADF;

        fs = fsopen("ramfs", FSOPEN_CLOEXEC);
        if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return -errno;
        mount = fsmount(fs, FSMOUNT_CLOEXEC, 0);
        if (mount < 0)
                return -errno;
        fd = openat(mount, "tags", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 || ftruncate(fd, size) < 0)
                return -errno;
        return TAKE_FD(fd);
}

/* Attaches the file to a loop device that is free. -EBUSY if another program has taken it meanwhile. */
static int attach(int control, int file, char **ret_name) {
        const struct loop_config config = {
                .fd = file,
                .block_size = 4096,
                .info.lo_flags = LO_FLAGS_AUTOCLEAR,
        };
        _cleanup_close_ int fd = -EBADF;
        char node[32];
        int number;

        number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0)
                return -errno;
        (void) snprintf(node, sizeof(node), "/dev/loop%i", number);
        fd = open(node, O_RDWR | O_CLOEXEC);
        if (fd < 0 || ioctl(fd, LOOP_CONFIGURE, &config) < 0)
                return -errno;
        *ret_name = strdup(node + strlen("/dev/"));
        if (!*ret_name)
                return -ENOMEM;
        (void) TAKE_FD(fd); /* its first user */
        return 0;
}

static int loop_open(uint64_t size, char **ret_name) {
        _cleanup_close_ int file = -EBADF, control = -EBADF;
        int r = -EBUSY;

        log_warning("The kernel has no zram: the tags take %" PRIu64 " MiB of RAM from the start.",
                    size / MIB);
        file = make_file(size);
        if (file < 0)
                return file;
        control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
        if (control < 0)
                return -errno;
        for (int i = 0; i < LOOP_TRIES && r == -EBUSY; i++)
                r = attach(control, file, ret_name);
        return r;
}

/* Makes an empty device of size bytes and gives its name, "zram2" or "loop0", for the caller to free. zram
 * keeps a page of one repeated word as an entry of its table; a loop device over a file in a ramfs that is
 * mounted nowhere takes all of its RAM once that is written. Neither is ever swapped. Never the first two of
 * zram, which zram-generator(8) and others take for swap. The first user of a loop device is this process,
 * to its end. -ENOENT, -ENODEV or -ENXIO if the kernel has neither. */
static int ramdisk_open(uint64_t size, char **ret_name) {
        int r;

        r = zram_open(size, ret_name);
        if (r == -ENOENT)
                return loop_open(size, ret_name);
        return r;
}

/* Removes the device name. A loop device goes by itself with its last user. 0 also if there is none; -EBUSY
 * if it stays open for long. */
static int ramdisk_close(const char *name) {
        const char *number = startswith(name, "zram");

        return number ? zram_remove(number) : 0;
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
