/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "report.h"

#include <fcntl.h>
#include <systemd/sd-device.h>

#include "macro.h"

#define PORT_NAME "ccvm.status"
#define VIRTIO_ID_CONSOLE "0x0003" /* linux/virtio_ids.h, as sysfs shows it */

#define STEP_USEC (10 * 1000U)
#define PORT_STEPS 100U  /* until virtio_console is loaded and has its ports */
#define LISTEN_STEPS 20U /* until the host has said that it listens */

static int enumerate(const char *subsystem, const char *attribute, const char *value,
                     sd_device_enumerator **ret) {
        _cleanup_(sd_device_enumerator_unrefp) sd_device_enumerator *e = NULL;
        int r;

        r = sd_device_enumerator_new(&e);
        if (r >= 0)
                r = sd_device_enumerator_allow_uninitialized(e);
        if (r >= 0)
                r = sd_device_enumerator_add_match_subsystem(e, subsystem, 1);
        if (r >= 0)
                r = sd_device_enumerator_add_match_sysattr(e, attribute, value, 1);
        if (r >= 0)
                *ret = TAKE_PTR(e);
        return r;
}

/* -ENOENT if there is none. */
static int find_port(char **ret) {
        _cleanup_(sd_device_enumerator_unrefp) sd_device_enumerator *e = NULL;
        const char *node;
        sd_device *port;
        int r;

        r = enumerate("virtio-ports", "name", PORT_NAME, &e);
        if (r < 0)
                return r;
        port = sd_device_enumerator_get_device_first(e);
        if (!port)
                return -ENOENT;
        r = sd_device_get_devname(port, &node);
        if (r < 0)
                return r;
        *ret = strdup(node);
        return *ret ? 0 : -ENOMEM;
}

/* Whether there is a virtio console of which the kernel has not shown any port yet. Without one, as in most
 * guests, nobody waits for anything. */
static bool port_may_come(void) {
        _cleanup_(sd_device_enumerator_unrefp) sd_device_enumerator *e = NULL;

        if (enumerate("virtio", "device", VIRTIO_ID_CONSOLE, &e) < 0)
                return false;
        for (sd_device *d = sd_device_enumerator_get_device_first(e); d;
             d = sd_device_enumerator_get_device_next(e)) {
                _cleanup_free_ char *ports = NULL;
                const char *path;

                if (sd_device_get_syspath(d, &path) >= 0 && asprintf(&ports, "%s/virtio-ports", path) >= 0 &&
                    access(ports, F_OK) < 0)
                        return true;
        }
        return false;
}

int report_to_host(const char *line) {
        _cleanup_free_ char *node = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        for (unsigned i = 0; (r = find_port(&node)) == -ENOENT; i++) {
                if (i == PORT_STEPS || !port_may_come())
                        return 0;
                (void) usleep(STEP_USEC);
        }
        if (r < 0)
                return r;

        /* Never blocking: a host that does not read must not hold up the boot. */
        fd = open(node, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
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
