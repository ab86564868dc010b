/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "attempt.h"

#include <fcntl.h>

#include "fileio.h"
#include "status.h"

int attempt_claim(void) {
        const char *where = access("/etc/initrd-release", F_OK) >= 0 ? "initrd\n" : "system\n";
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = mkdir_parents(STATUS_DIRECTORY, 0755);
        if (r < 0)
                return r;
        fd = open(ATTEMPTED_PATH, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444);
        if (fd < 0)
                return -errno;
        return write(fd, where, strlen(where)) < 0 ? -errno : 0;
}

int attempt_forget(void) {
        static const char *const paths[] = {
                STATUS_PATH, HEALTH_PATH, FREE_PATH,    MISMATCHES_PATH,        RENEWING_PATH,
                FORCE_PATH,  ASKED_PATH,  REFUSED_PATH, REFUSED_BY_INITRD_PATH, ATTEMPTED_PATH,
        };

        for (size_t i = 0; i < ELEMENTSOF(paths); i++)
                if (unlink(paths[i]) < 0 && errno != ENOENT)
                        return -errno;
        return 0;
}
