/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "zram.h"

#include <fcntl.h>
#include <inttypes.h>

#include "clock.h"
#include "fileio.h"
#include "parse.h"

#define CONTROL "/sys/class/zram-control"
#define NUMBER_MIN 2U
#define NUMBER_MAX UINT32_MAX

/* udev may have the device open for a moment, to look at it. */
#define REMOVE_TIMEOUT (2 * USEC_PER_SEC)
#define REMOVE_PAUSE_USEC 10000

static int write_number(const char *path, uint64_t value) {
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        return dprintf(fd, "%" PRIu64, value) < 0 ? -errno : 0;
}

static int write_attribute(const char *name, const char *attribute, uint64_t value) {
        _cleanup_free_ char *path = NULL;

        return asprintf(&path, "/sys/block/%s/%s", name, attribute) < 0 ? -ENOMEM
                                                                        : write_number(path, value);
}

/* By reading it the device is made. */
static int hot_add(uint64_t *ret) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = file_read(CONTROL "/hot_add", KIB, &text);
        if (r < 0)
                return r;
        text[strcspn(text, "\n")] = 0;
        return parse_unsigned(text, NUMBER_MAX, ret);
}

static int hot_remove(uint64_t number) {
        uint64_t start = now_usec();
        int r;

        do {
                r = write_number(CONTROL "/hot_remove", number);
                if (r != -EBUSY)
                        return r == -ENOENT || r == -ENODEV ? 0 : r;
                (void) usleep(REMOVE_PAUSE_USEC);
        } while (now_usec() - start < REMOVE_TIMEOUT);
        return r;
}

/* The kernel gives the lowest number that is free. Those that may be somebody's are given back. */
int zram_add(char **ret_name) {
        uint64_t number, skipped[NUMBER_MIN];
        size_t n = 0;
        int r;

        while ((r = hot_add(&number)) >= 0 && number < NUMBER_MIN && n < ELEMENTSOF(skipped))
                skipped[n++] = number;
        while (n > 0)
                (void) hot_remove(skipped[--n]);
        if (r < 0)
                return r;
        return asprintf(ret_name, "zram%" PRIu64, number) < 0 ? -ENOMEM : 0;
}

int zram_set_size(const char *name, uint64_t size) {
        return write_attribute(name, "disksize", size);
}

int zram_remove(const char *name) {
        const char *digits = startswith(name, "zram");
        uint64_t number;

        return digits && parse_unsigned(digits, NUMBER_MAX, &number) >= 0 ? hot_remove(number) : -EINVAL;
}
