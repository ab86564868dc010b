/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "tags.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>

#include "fileio.h"
#include "lazyfill.h"
#include "log.h"
#include "parse.h"
#include "ramloop.h"
#include "zram.h"

#define FILLER 0xf6
#define FILL_STEP (2 * MIB)

/* Bytes of tags from which the fill costs more than the module for snapshots and three mappings: those of a
 * disk of 64 GiB. */
#define LAZY_MIN (256 * MIB)

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

/* As a tmpfs has. The call cannot fail. */
static uint64_t half_of_ram(void) {
        struct sysinfo info = {};

        (void) sysinfo(&info);
        return (uint64_t) info.totalram * info.mem_unit / 2;
}

/* Noted before anything is in it, so that whoever takes away what a killed process has left finds it. */
static int make_zram(uint64_t size, char **ret_name) {
        uint64_t limit = half_of_ram();
        int r;

        r = zram_add(ret_name);
        if (r < 0)
                return r;
        r = file_write_atomic(TAGS_PATH, *ret_name, 0644);
        if (r < 0) {
                (void) zram_remove(*ret_name);
                return r;
        }
        if (size > limit)
                log_warning("The tags of the whole disk would take %" PRIu64 " MiB of RAM. From %" PRIu64
                            " MiB on, half of the RAM, writes fail.",
                            size / MIB, limit / MIB);
        return zram_set_size(*ret_name, size, limit);
}

/* A loop device goes with the process. */
static int make_loop(uint64_t size, char **ret_name) {
        int r;

        log_warning("The kernel has no zram: the tags of the whole disk take %" PRIu64
                    " MiB of RAM from the start.",
                    size / MIB);
        r = size > half_of_ram() ? -ENOMEM : ramloop_make(size, ret_name);
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

/* A kernel that has no snapshots fills all of it. */
static int make_lazily(const Device *zram, uint64_t size, Device *ret) {
        char node[32];
        dev_t number;
        int r;

        r = fill(zram->node, LAZYFILL_PIECE);
        if (r >= 0)
                r = lazyfill_make(zram->number, size, &number);
        if (r < 0)
                return r;
        (void) snprintf(node, sizeof(node), "/dev/dm-%u", minor(number));
        return note_device(node, size, ret);
}

static int make(uint64_t size, Device *ret) {
        _cleanup_(device_done) Device d = {};
        _cleanup_free_ char *name = NULL, *node = NULL;
        bool lazily = size >= LAZY_MIN;
        int r;

        r = make_zram(lazily ? lazyfill_size(size) : size, &name);
        if (r == -ENOENT) {
                lazily = false;
                r = make_loop(size, &name);
        }
        if (r < 0)
                return r;
        if (asprintf(&node, "/dev/%s", name) < 0)
                return -ENOMEM;
        r = note_device(node, size, &d);
        if (r >= 0 && lazily && make_lazily(&d, size, ret) >= 0)
                return 0;
        if (r >= 0)
                r = fill(node, size);
        if (r < 0)
                return r;
        *ret = d;
        d.node = NULL;
        return 0;
}

int tags_make(uint64_t size, Status *s, Device *ret) {
        int r;

        size = (size + LAZYFILL_PIECE - 1) / LAZYFILL_PIECE * LAZYFILL_PIECE;
        r = make(size, ret);
        if (r < 0) {
                (void) tags_remove();
                return status_fail(s, REASON_FORMAT, r,
                                   "Failed to make a device in RAM of %" PRIu64 " MiB for the tags",
                                   size / MIB);
        }
        return 0;
}

int tags_remove(void) {
        _cleanup_free_ char *name = NULL;
        int r;

        r = lazyfill_remove();
        if (r >= 0)
                r = file_read(TAGS_PATH, KIB, &name);
        if (r >= 0 && startswith(name, "zram"))
                r = zram_remove(name);
        if (r >= 0)
                r = unlink(TAGS_PATH) < 0 ? -errno : 0;
        return r == -ENOENT ? 0 : r;
}

int tags_remove_later(void) {
        return lazyfill_remove_later();
}
