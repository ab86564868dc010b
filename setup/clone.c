/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "clone.h"

#include <fcntl.h>

#define RECORD_MAX 8192

int clone_open(void) {
        int fd = open("/dev/kmsg", O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        if (lseek(fd, 0, SEEK_END) < 0) {
                int r = -errno;
                (void) safe_close(fd);
                return r;
        }
        return fd;
}

/* "5,1021,12276120,-;random: …": a priority below 8 is the kernel's own, which no program can write. */
bool clone_is_record(const char *record) {
        const char *text = strchr(record, ';');

        return text && record[0] >= '0' && record[0] <= '7' && record[1] == ',' &&
               startswith(text + 1, "random: crng reseeded due to virtual machine fork");
}

int clone_wait(int fd) {
        char record[RECORD_MAX];

        for (;;) {
                ssize_t n = read(fd, record, sizeof(record) - 1);
                /* Some were lost, or one was too long. */
                if (n < 0 && errno != EPIPE && errno != EINVAL && errno != EINTR)
                        return -errno;
                record[n < 0 ? 0 : n] = 0;
                if (clone_is_record(record))
                        return 0;
        }
}
