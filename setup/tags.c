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

/* A zram is noted before anything is in it, so that whoever takes away what a killed process has left finds
 * it. A loop device goes with the process. */
static int make_device(uint64_t size, char **ret_name) {
        _cleanup_free_ char *name = NULL;
        int r;

        r = zram_add(&name);
        if (r == -ENOENT) {
                log_warning("The kernel has no zram: the tags of the whole disk take %" PRIu64
                            " MiB of RAM from the start.",
                            size / MIB);
                r = ramloop_make(size, &name);
                if (r >= 0)
                        r = file_write_atomic(TAGS_PATH, name, 0644);
        } else if (r >= 0) {
                r = file_write_atomic(TAGS_PATH, name, 0644);
                if (r >= 0)
                        r = zram_set_size(name, size);
                else
                        (void) zram_remove(name);
        }
        *ret_name = TAKE_PTR(name);
        return r;
}

static int make(uint64_t size, Device *ret) {
        _cleanup_(device_done) Device d = { .size = size };
        _cleanup_free_ char *name = NULL;
        struct stat st;
        int r;

        r = make_device(size, &name);
        if (r < 0)
                return r;
        if (asprintf(&d.node, "/dev/%s", name) < 0)
                return -ENOMEM;
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
                                   "Failed to make a device in RAM of %" PRIu64 " MiB for the tags",
                                   size / MIB);
        }
        return 0;
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
