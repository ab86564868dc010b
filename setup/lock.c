/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include "clock.h"
#include "macro.h"
#include "paths.h"

#define PAUSE_USEC 10000

static int lock_fd = -EBADF;

/* Nobody but root can open the file, and keep it locked. */
int lock_take(uint64_t patience_usec) {
        uint64_t start = now_usec();

        lock_fd = open(LOCK_PATH, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (lock_fd < 0)
                return errno == ENOENT ? 0 : -errno;
        while (flock(lock_fd, LOCK_EX | LOCK_NB) < 0) {
                if (now_usec() - start >= patience_usec) {
                        lock_release();
                        return -EBUSY;
                }
                (void) usleep(PAUSE_USEC);
        }
        return 0;
}

void lock_release(void) {
        lock_fd = safe_close(lock_fd);
}
