/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "report.h"

#include <fcntl.h>
#include <glob.h>

#include "fileio.h"
#include "parse.h"

#define PORT_NAME "ccvm.status\n"
#define VIRTIO_ID_CONSOLE "0x0003\n" /* linux/virtio_ids.h, as sysfs shows it */

#define STEP_USEC (10 * 1000U)
#define PORT_STEPS 100U  /* until virtio_console is loaded and has its ports */
#define LISTEN_STEPS 20U /* until the host has said that it listens */

static bool file_has(const char *path, const char *text) {
        _cleanup_free_ char *found = NULL;

        return file_read(path, KIB, &found) >= 0 && streq(found, text);
}

/* Opens the port. -ENOENT if there is none. Never blocking: a host that does not read must not hold up the
 * boot. */
static int open_port(void) {
        _cleanup_(globfree) glob_t names = {};
        int fd = -ENOENT;

        (void) glob("/sys/class/virtio-ports/*/name", GLOB_NOSORT, NULL, &names);
        for (size_t i = 0; i < names.gl_pathc && fd == -ENOENT; i++) {
                char node[64], *end = strrchr(names.gl_pathv[i], '/');

                if (!file_has(names.gl_pathv[i], PORT_NAME))
                        continue;
                *end = 0;
                snprintf(node, sizeof(node), "/dev%s", strrchr(names.gl_pathv[i], '/'));
                fd = open(node, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
                if (fd < 0)
                        return -errno;
        }
        return fd;
}

/* Whether there is a virtio console of which the kernel has not shown any port yet. Without one, as in most
 * guests, nothing is waited for. */
static bool port_may_come(void) {
        _cleanup_(globfree) glob_t types = {};
        bool found = false;

        (void) glob("/sys/bus/virtio/devices/*/device", GLOB_NOSORT, NULL, &types);
        for (size_t i = 0; i < types.gl_pathc && !found; i++) {
                char ports[128];

                snprintf(ports, sizeof(ports), "%.*svirtio-ports",
                         (int) strlen(types.gl_pathv[i]) - (int) strlen("device"), types.gl_pathv[i]);
                found = file_has(types.gl_pathv[i], VIRTIO_ID_CONSOLE) && access(ports, F_OK) < 0;
        }
        return found;
}

int report_to_host(const char *line) {
        _cleanup_close_ int fd = -EBADF;

        for (unsigned i = 0; (fd = open_port()) == -ENOENT; i++) {
                if (i == PORT_STEPS || !port_may_come())
                        return 0;
                (void) usleep(STEP_USEC);
        }
        if (fd < 0)
                return fd;
        for (unsigned i = 0; i < LISTEN_STEPS; i++) {
                ssize_t n = write(fd, line, strlen(line));
                if (n >= 0)
                        return (size_t) n == strlen(line) ? 0 : -EIO;
                if (errno != EAGAIN)
                        return -errno;
                (void) usleep(STEP_USEC);
        }
        return -ENOTCONN;
}
