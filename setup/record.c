/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "record.h"

#include <fcntl.h>
#include <sys/file.h>

#include "clock.h"
#include "fileio.h"
#include "log.h"

#define PAUSE_USEC 10000

int record_claim(const char *options) {
        const char *where = access("/etc/initrd-release", F_OK) >= 0 ? "initrd\n" : "system\n";
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = access(ATTEMPTED_PATH, F_OK) >= 0 ? 0 : file_write_atomic(MADE_PATH, options, 0644);
        if (r < 0)
                return log_error_errno(r, "Failed to write '%s'", MADE_PATH);
        fd = open(ATTEMPTED_PATH, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444);
        if (fd < 0 && errno == EEXIST)
                return 0;
        if (fd < 0 || write(fd, where, strlen(where)) < 0)
                return log_error_errno(errno, "Failed to create '%s'", ATTEMPTED_PATH);
        return 1;
}

int record_write(const Status *s) {
        int r;

        r = status_write(s);
        if (r < 0)
                return log_error_errno(r, "Failed to write '%s'", STATUS_PATH);
        return 0;
}

int record_read(Status *ret) {
        int r;

        r = status_read(ret);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return log_error_errno(r, "Failed to read '%s'", STATUS_PATH);
        return 1;
}

int record_forget(void) {
        _cleanup_closedir_ DIR *d = opendir(STATUS_DIRECTORY);

        if (!d)
                return log_error_errno(errno, "Failed to open '%s'", STATUS_DIRECTORY);
        for (struct dirent *e; (e = readdir(d));)
                if (e->d_type != DT_DIR && unlinkat(dirfd(d), e->d_name, 0) < 0)
                        return log_error_errno(errno, "Failed to remove '%s/%s'", STATUS_DIRECTORY,
                                               e->d_name);
        return 0;
}

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
