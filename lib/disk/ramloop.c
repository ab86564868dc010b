/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ramloop.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

#include "mountcalls.h"

#define TRIES 16

static int make_file(uint64_t size) {
        _cleanup_close_ int fs = -EBADF, mount = -EBADF, fd = -EBADF;

        fs = fsopen("ramfs", FSOPEN_CLOEXEC);
        if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return -errno;
        mount = fsmount(fs, FSMOUNT_CLOEXEC, 0);
        if (mount < 0)
                return -errno;
        fd = openat(mount, "tags", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 || ftruncate(fd, size) < 0)
                return -errno;
        return TAKE_FD(fd);
}

/* Who else looks for a free one may be faster. */
static int attach(int control, int file, char **ret_name) {
        _cleanup_free_ char *node = NULL;
        _cleanup_close_ int fd = -EBADF;
        const struct loop_config config = {
                .fd = file,
                .block_size = 4096,
                .info.lo_flags = LO_FLAGS_AUTOCLEAR,
        };
        int number;

        number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0)
                return -errno;
        if (asprintf(&node, "/dev/loop%i", number) < 0)
                return -ENOMEM;
        fd = open(node, O_RDWR | O_CLOEXEC);
        if (fd < 0 || ioctl(fd, LOOP_CONFIGURE, &config) < 0)
                return -errno;
        *ret_name = strdup(node + strlen("/dev/"));
        if (!*ret_name)
                return -ENOMEM;
        (void) TAKE_FD(fd); /* its first user */
        return 0;
}

int ramloop_make(uint64_t size, char **ret_name) {
        _cleanup_close_ int control = -EBADF, file = -EBADF;
        int r;

        file = make_file(size);
        if (file < 0)
                return file;
        control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
        if (control < 0)
                return -errno;
        for (int i = 0; i < TRIES; i++) {
                r = attach(control, file, ret_name);
                if (r != -EBUSY)
                        break;
        }
        return r;
}
