/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kmsg.h"

#include <fcntl.h>

#define LOG "/dev/kmsg"
#define RECORD_MAX 8192
#define KEY_TEXT "ccvm-scratch-setup: A new volume key is made."

int kmsg_open(void) {
        int fd = open(LOG, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

/* "5,1021,12276120,-;random: …": a priority below 8 is the kernel's own, which no program can write. That
 * of a program has a facility in it, by default 1, and so is 8 more. */
KmsgRecord kmsg_parse_record(const char *record) {
        const char *text = strchr(record, ';');

        if (!text)
                return KMSG_OTHER;
        if (record[0] >= '0' && record[0] <= '7' && record[1] == ',' &&
            startswith(text + 1, "random: crng reseeded due to virtual machine fork"))
                return KMSG_FORK;
        return startswith(record, "15,") && startswith(text + 1, KEY_TEXT) ? KMSG_KEY : KMSG_OTHER;
}

int kmsg_read(int fd, bool *cloned) {
        char record[RECORD_MAX];
        KmsgRecord kind;

        for (;;) {
                ssize_t n = read(fd, record, sizeof(record) - 1);
                if (n < 0 && errno == EPIPE) {
                        *cloned = true;
                        continue;
                }
                if (n < 0 && errno == EAGAIN)
                        return 0;
                /* One was too long. */
                if (n < 0 && errno != EINVAL && errno != EINTR)
                        return -errno;
                record[n < 0 ? 0 : n] = 0;
                kind = kmsg_parse_record(record);
                if (kind != KMSG_OTHER)
                        *cloned = kind == KMSG_FORK;
        }
}

/* For debugging: it is on no console. Not by dprintf(3), which before glibc 2.37 asks for the position. */
int kmsg_note_key(void) {
        static const char line[] = "<7>" KEY_TEXT "\n";
        _cleanup_close_ int fd = open(LOG, O_WRONLY | O_CLOEXEC);

        return fd < 0 || write(fd, line, strlen(line)) < 0 ? -errno : 0;
}
