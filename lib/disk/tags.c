/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "tags.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>

#include "fileio.h"
#include "log.h"
#include "parse.h"
#include "ramloop.h"
#include "zram.h"

#define FILLER 0xf6
#define FILL_STEP (2 * MIB)

/* What programs need at least, and a tmpfs may have half of the RAM. */
#define RESERVE (64 * MIB)
#define SHARE_MIN 16 /* of the RAM, however little of it is free */

/* A page of tags cannot be made smaller once all of them are written: it takes a page, an entry of zram's
 * table, and what zsmalloc notes of it. */
#define PAGE 4096
#define PAGE_COST (PAGE + 128)

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

/* Bytes, of the line that begins with key, in KiB; 0 if there is none. */
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

int tags_read_room(uint64_t *ret) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = file_read("/proc/meminfo", 64 * KIB, &text);
        if (r < 0)
                return r;
        *ret = tags_room(text);
        return 0;
}

/* Noted before anything is in it, so that whoever takes away what a killed process has left finds it. */
static int make_zram(uint64_t size, char **ret_name) {
        int r;

        r = zram_add(ret_name);
        if (r < 0)
                return r;
        r = file_write_atomic(TAGS_PATH, *ret_name, 0644);
        if (r < 0) {
                (void) zram_remove(*ret_name);
                return r;
        }
        return zram_set_size(*ret_name, size);
}

/* A loop device goes with the process. */
static int make_loop(uint64_t size, char **ret_name) {
        int r;

        log_warning("The kernel has no zram: the tags take %" PRIu64 " MiB of RAM from the start.",
                    size / MIB);
        r = ramloop_make(size, ret_name);
        return r < 0 ? r : file_write_atomic(TAGS_PATH, *ret_name, 0644);
}

static int note_device(const char *node, uint64_t size, Device *ret) {
        _cleanup_(device_done) Device d = { .node = strdup(node), .size = size };
        struct stat st;

        if (!d.node)
                return -ENOMEM;
        if (stat(node, &st) < 0)
                return -errno;
        d.number = st.st_rdev;
        *ret = d;
        d.node = NULL;
        return 0;
}

static int make(uint64_t size, Device *ret) {
        _cleanup_(device_done) Device d = {};
        _cleanup_free_ char *name = NULL, *node = NULL;
        int r;

        r = make_zram(size, &name);
        if (r == -ENOENT)
                r = make_loop(size, &name);
        if (r < 0)
                return r;
        if (asprintf(&node, "/dev/%s", name) < 0)
                return -ENOMEM;
        r = note_device(node, size, &d);
        if (r >= 0)
                r = fill(node, size);
        if (r < 0)
                return r;
        *ret = d;
        d.node = NULL;
        return 0;
}

/* What there is no module for. */
static bool is_missing(int r) {
        return r == -ENOENT || r == -ENODEV || r == -ENXIO;
}

int tags_make(uint64_t size, Status *s, Device *ret) {
        int r;

        size = (size + PAGE - 1) / PAGE * PAGE;
        r = make(size, ret);
        if (r >= 0)
                return 0;
        (void) tags_remove();
        return is_missing(r) ? status_fail(s, REASON_KERNEL, r, "The kernel has no zram, and no loop")
                             : status_fail(s, REASON_FORMAT, r,
                                           "Failed to make a device in RAM of %" PRIu64 " MiB for the tags",
                                           size / MIB);
}

int tags_remove(void) {
        _cleanup_free_ char *name = NULL;
        int r;

        r = file_read(TAGS_PATH, KIB, &name);
        if (r >= 0 && startswith(name, "zram"))
                r = zram_remove(name);
        if (r >= 0)
                r = unlink(TAGS_PATH) < 0 ? -errno : 0;
        return r == -ENOENT ? 0 : r;
}
