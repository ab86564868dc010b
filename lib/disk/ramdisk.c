/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ramdisk.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

#include "clock.h"
#include "fileio.h"
#include "log.h"
#include "mountcalls.h"
#include "parse.h"

#define ZRAM_CONTROL "/sys/class/zram-control"
#define ZRAM_MIN 2U /* the first number that no other program takes by custom */

/* udev may have the device open for a moment, to look at it. */
#define REMOVE_TIMEOUT (2 * USEC_PER_SEC)
#define REMOVE_PAUSE_USEC 10000

#define LOOP_TRIES 16

static int write_number(const char *path, uint64_t value) {
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd < 0 || dprintf(fd, "%" PRIu64, value) < 0)
                return -errno;
        return 0;
}

/* Makes a zram, by reading, and gives its number. */
static int zram_add(uint64_t *ret) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = file_read(ZRAM_CONTROL "/hot_add", KIB, &text);
        if (r < 0)
                return r;
        text[strcspn(text, "\n")] = 0;
        return parse_unsigned(text, UINT32_MAX, ret);
}

static int zram_remove(uint64_t number) {
        uint64_t start = now_usec();
        int r;

        do {
                r = write_number(ZRAM_CONTROL "/hot_remove", number);
                if (r != -EBUSY)
                        return r == -ENOENT || r == -ENODEV ? 0 : r;
                (void) usleep(REMOVE_PAUSE_USEC);
        } while (now_usec() - start < REMOVE_TIMEOUT);
        return r;
}

/* Makes a zram whose number is free to take. The kernel gives the lowest; those before are given back. */
static int zram_add_ours(uint64_t *ret) {
        uint64_t number = 0;
        int r;

        r = zram_add(&number);
        if (r < 0)
                return r;
        if (number < ZRAM_MIN) {
                r = zram_add_ours(ret);
                (void) zram_remove(number);
                return r;
        }
        *ret = number;
        return 0;
}

static int zram_open(uint64_t size, char **ret_name) {
        _cleanup_free_ char *name = NULL, *path = NULL;
        uint64_t number;
        int r;

        r = zram_add_ours(&number);
        if (r < 0)
                return r;
        if (asprintf(&name, "zram%" PRIu64, number) < 0 ||
            asprintf(&path, "/sys/block/zram%" PRIu64 "/disksize", number) < 0)
                r = -ENOMEM;
        else
                r = write_number(path, size);
        if (r < 0) {
                (void) zram_remove(number);
                return r;
        }
        *ret_name = TAKE_PTR(name);
        return 0;
}

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

/* Attaches the file to a loop device that is free. -EBUSY if another program has taken it meanwhile. */
static int attach(int control, int file, char **ret_name) {
        const struct loop_config config = {
                .fd = file,
                .block_size = 4096,
                .info.lo_flags = LO_FLAGS_AUTOCLEAR,
        };
        _cleanup_close_ int fd = -EBADF;
        char node[32];
        int number;

        number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0)
                return -errno;
        (void) snprintf(node, sizeof(node), "/dev/loop%i", number);
        fd = open(node, O_RDWR | O_CLOEXEC);
        if (fd < 0 || ioctl(fd, LOOP_CONFIGURE, &config) < 0)
                return -errno;
        *ret_name = strdup(node + strlen("/dev/"));
        if (!*ret_name)
                return -ENOMEM;
        (void) TAKE_FD(fd); /* its first user */
        return 0;
}

static int loop_open(uint64_t size, char **ret_name) {
        _cleanup_close_ int file = -EBADF, control = -EBADF;
        int r = -EBUSY;

        log_warning("The kernel has no zram: the tags take %" PRIu64 " MiB of RAM from the start.",
                    size / MIB);
        file = make_file(size);
        if (file < 0)
                return file;
        control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
        if (control < 0)
                return -errno;
        for (int i = 0; i < LOOP_TRIES && r == -EBUSY; i++)
                r = attach(control, file, ret_name);
        return r;
}

int ramdisk_open(uint64_t size, char **ret_name) {
        int r;

        r = zram_open(size, ret_name);
        if (r == -ENOENT)
                return loop_open(size, ret_name);
        return r;
}

int ramdisk_close(const char *name) {
        const char *number = startswith(name, "zram");
        uint64_t n;

        if (!number)
                return 0;
        if (parse_unsigned(number, UINT32_MAX, &n) < 0)
                return -EINVAL;
        return zram_remove(n);
}
