/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "tags.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#include "clock.h"
#include "fileio.h"
#include "log.h"
#include "parse.h"

#define CONTROL "/sys/class/zram-control"
#define FILLER 0xf6
#define FILL_STEP (2 * MIB)

/* zram-generator(8) and others count from 0; their examples have two. */
#define NUMBER_MIN 2U
#define NUMBER_MAX 1024U

/* udev may have the device open for a moment, to look at it. */
#define REMOVE_TIMEOUT (2 * USEC_PER_SEC)
#define REMOVE_PAUSE_USEC 10000

static int write_number(const char *path, uint64_t value) {
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        return dprintf(fd, "%" PRIu64, value) < 0 ? -errno : 0;
}

static int write_attribute(uint64_t number, const char *name, uint64_t value) {
        char path[64];

        snprintf(path, sizeof(path), "/sys/block/zram%" PRIu64 "/%s", number, name);
        return write_number(path, value);
}

static int read_number(const char *path, uint64_t *ret) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = file_read(path, KIB, &text);
        if (r < 0)
                return r;
        text[strcspn(text, "\n")] = 0;
        return parse_unsigned(text, NUMBER_MAX, ret);
}

static int remove_device(uint64_t number) {
        uint64_t start = now_usec();
        int r;

        do {
                r = write_number(CONTROL "/hot_remove", number);
                if (r != -EBUSY)
                        return r == -ENOENT || r == -ENODEV ? 0 : r;
                (void) usleep(REMOVE_PAUSE_USEC);
        } while (now_usec() - start < REMOVE_TIMEOUT);
        return r;
}

/* The kernel gives the lowest number that is free. Those that may be somebody's are given back. */
static int add_device(uint64_t *ret) {
        uint64_t number, skipped[NUMBER_MIN];
        size_t n = 0;
        int r;

        while ((r = read_number(CONTROL "/hot_add", &number)) >= 0 && number < NUMBER_MIN &&
               n < ELEMENTSOF(skipped))
                skipped[n++] = number;
        while (n > 0)
                (void) remove_device(skipped[--n]);
        *ret = number;
        return r;
}

/* Half of the RAM, as a tmpfs has: beyond that a write fails, rather than that the kernel kills somebody. */
static uint64_t memory_limit(void) {
        struct sysinfo info;

        return sysinfo(&info) < 0 ? 0 : (uint64_t) info.totalram * info.mem_unit / 2;
}

static int set_size(uint64_t number, uint64_t size) {
        uint64_t limit = memory_limit();
        int r;

        if (size > limit)
                log_warning("The tags of the whole disk would take %" PRIu64 " MiB of RAM. From %" PRIu64
                            " MiB on, half of the RAM, writes fail.",
                            size / MIB, limit / MIB);
        r = write_attribute(number, "mem_limit", limit);
        return r < 0 ? r : write_attribute(number, "disksize", size);
}

/* Direct: one copy less, and no page cache to be written back. */
static int fill(const char *node, uint64_t size) {
        _cleanup_close_ int fd = open(node, O_WRONLY | O_DIRECT | O_CLOEXEC);
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
        for (uint64_t at = 0; at < size;) {
                ssize_t n = pwrite(fd, buffer, size - at < FILL_STEP ? size - at : FILL_STEP, at);
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                at += n;
        }
        return 0;
}

/* Noted before anything is in it, so that whoever takes away what a killed process has left finds it. */
static int note(uint64_t number) {
        char text[24];

        snprintf(text, sizeof(text), "%" PRIu64, number);
        return file_write_atomic(TAGS_PATH, text, 0644);
}

static int make(uint64_t size, Device *ret) {
        _cleanup_(device_done) Device d = { .size = size };
        struct stat st;
        uint64_t number;
        int r;

        r = add_device(&number);
        if (r < 0)
                return r;
        r = note(number);
        if (r < 0) {
                (void) remove_device(number);
                return r;
        }
        if (asprintf(&d.node, "/dev/zram%" PRIu64, number) < 0)
                return -ENOMEM;
        r = set_size(number, size);
        if (r >= 0)
                r = fill(d.node, size);
        if (r < 0)
                return r;
        if (stat(d.node, &st) < 0)
                return -errno;
        d.number = st.st_rdev;
        *ret = d;
        d.node = NULL;
        return 0;
}

int tags_make(uint64_t size, Status *s, Device *ret) {
        int r;

        size = (size + MIB - 1) / MIB * MIB;
        r = make(size, ret);
        if (r < 0) {
                (void) tags_remove();
                return status_fail(s, REASON_FORMAT, r,
                                   "Failed to make a zram device of %" PRIu64 " MiB for the tags",
                                   size / MIB);
        }
        return 0;
}

int tags_remove(void) {
        uint64_t number;
        int r;

        r = read_number(TAGS_PATH, &number);
        if (r >= 0)
                r = remove_device(number);
        if (r >= 0)
                r = unlink(TAGS_PATH) < 0 ? -errno : 0;
        return r == -ENOENT ? 0 : r;
}
