/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "discard.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>

#include "clock.h"
#include "parse.h"

#define DISK_USEC (2 * USEC_PER_SEC)
#define FREE_USEC (5 * USEC_PER_SEC)
#define FREE_EXTENT_MIN (64 * KIB)
#define STEP_MIN (128 * MIB) /* as large as a group of ext4, which it need not look at again */
#define STEP_MAX GIB

int discard_in_time(const Discarder *d, uint64_t *position, uint64_t end, uint64_t limit_usec) {
        uint64_t begin = d->now(d->userdata), now = begin, step = STEP_MIN, last = 0;

        while (*position < end) {
                uint64_t length = end - *position < step ? end - *position : step, after;
                int r;

                if (now - begin + last > limit_usec)
                        return 0;
                r = d->discard(d->userdata, *position, length);
                if (r < 0)
                        return r;
                *position += length;
                after = d->now(d->userdata);
                last = after - now;
                now = after;
                /* A larger one takes as much longer. */
                if (step < STEP_MAX && now - begin + 2 * last <= limit_usec) {
                        step *= 2;
                        last *= 2;
                }
        }
        return 1;
}

/* An open disk, or an open directory of a file system. */
typedef struct Area {
        int fd;
        uint64_t size; /* bytes */
} Area;

static uint64_t read_clock(void *userdata) {
        return now_usec();
}

static int discard_range(void *userdata, uint64_t start, uint64_t length) {
        uint64_t range[] = { start, length };
        Area *t = userdata;

        return ioctl(t->fd, BLKDISCARD, range) < 0 ? -errno : 0;
}

/* A VM that reboots has the blocks that it had. What is in them is noise since the last boot's key is gone,
 * and takes room on the host. A disk that is slow at it is not waited for. */
void discard_disk(const Device *disk) {
        _cleanup_close_ int fd = open(disk->node, O_WRONLY | O_CLOEXEC);
        Area t = { .fd = fd };
        const Discarder by = { discard_range, read_clock, &t };
        uint64_t position = 0;

        (void) discard_in_time(&by, &position, disk->size, DISK_USEC);
}

/* The last range has no end: the addresses of btrfs, whose block groups come and go, can lie beyond its
 * size. */
static int trim_range(void *userdata, uint64_t start, uint64_t length) {
        Area *t = userdata;
        struct fstrim_range range = {
                .start = start,
                .len = start + length < t->size ? length : UINT64_MAX,
                .minlen = FREE_EXTENT_MIN,
        };

        return ioctl(t->fd, FITRIM, &range) < 0 ? -errno : 0;
}

int discard_free(const char *where, uint64_t *position) {
        _cleanup_close_ int fd = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        Area t = { .fd = fd };
        const Discarder by = { trim_range, read_clock, &t };
        struct statvfs v;
        int r;

        if (fd < 0 || fstatvfs(fd, &v) < 0)
                return -errno;
        t.size = (uint64_t) v.f_blocks * v.f_frsize;
        r = discard_in_time(&by, position, t.size, FREE_USEC);
        return r == -EOPNOTSUPP ? 1 : r;
}
