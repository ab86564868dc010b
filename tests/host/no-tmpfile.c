/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* To be preloaded: a file system without O_TMPFILE, as NFS, 9p and FUSE are, wherever the test runs.
 * Compiled as the wrapper is, so that openat() means the same symbol in both, whatever the size of off_t
 * makes of it. */

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "macro.h"

__attribute__((visibility("default"))) int openat(int dir_fd, const char *path, int flags, ...) {
        int (*next)(int, const char *, int, ...) = NULL;
        mode_t mode = 0;
        va_list ap;

        if ((flags & O_TMPFILE) == O_TMPFILE) {
                errno = EOPNOTSUPP;
                return -1;
        }
        if (flags & O_CREAT) {
                va_start(ap, flags);
                mode = va_arg(ap, mode_t);
                va_end(ap);
        }
        *(void **) &next = dlsym(RTLD_NEXT, "openat");
        return next(dir_fd, path, flags, mode);
}
