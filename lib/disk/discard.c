/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "discard.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "clock.h"
#include "parse.h"

#define DISK_USEC (2 * USEC_PER_SEC)
#define STEP_MIN (128 * MIB) /* as large as a group of ext4, which it need not look at again */
#define STEP_MAX GIB

uint64_t discard_in_time(const Discarder *d, uint64_t start, uint64_t end, uint64_t limit_usec) {
        uint64_t begin = d->now(d->userdata), now = begin, step = STEP_MIN, last = 0;

        while (start < end) {
                uint64_t length = end - start < step ? end - start : step, after;

                if (now - begin + last > limit_usec || d->discard(d->userdata, start, length) < 0)
                        break;
                start += length;
                after = d->now(d->userdata);
                last = after - now;
                now = after;
                /* A larger one takes as much longer. */
                if (step < STEP_MAX && now - begin + 2 * last <= limit_usec) {
                        step *= 2;
                        last *= 2;
                }
        }
        return start;
}

typedef struct Disk {
        int fd, error;
} Disk;

static int discard_range(void *userdata, uint64_t start, uint64_t length) {
        uint64_t range[] = { start, length };
        Disk *d = userdata;

        d->error = ioctl(d->fd, BLKDISCARD, range) < 0 ? -errno : 0;
        return d->error;
}

static uint64_t read_clock(void *userdata) {
        return now_usec();
}

/* A VM that reboots has the blocks that it had. What is in them is noise since the last boot's key is gone,
 * and takes room on the host. A disk that is slow at it is not waited for. */
bool discard_disk(const Device *disk) {
        _cleanup_close_ int fd = open(disk->node, O_WRONLY | O_CLOEXEC);
        Disk d = { .fd = fd };
        const Discarder by = { discard_range, read_clock, &d };

        if (fd < 0)
                return false;
        return discard_in_time(&by, 0, disk->size, DISK_USEC) == disk->size || d.error == -EOPNOTSUPP;
}
