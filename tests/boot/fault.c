/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* fault.so: preloaded into ccvm-scratch-setup by boots of the tests, it stops the real program at an exact
 * point. The point is in $FAULT_AT, what happens there in $FAULT_DO:
 *
 *   format     before the header is written      kill  SIGKILL, as from the OOM killer
 *   formatted  after it, before activation       hang  for ever, deaf to everything but SIGKILL
 *   activated  when the mapping is there         ask   the host, and wait until it answers
 *   discard    before a range is discarded       key   tell the host the volume key, then go on
 *                                                !CMD  run CMD by the shell, then go on
 *                                                slow  take 12 ms for each MiB of the range, then go on
 *
 * The host is at the other end of the virtio-serial port ccvm.host. */

#include <dlfcn.h>
#include <fcntl.h>
#include <libcryptsetup.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include "macro.h"

#define PORT "/dev/virtio-ports/ccvm.host"

/* The port of a guest that has just started may not be there yet. */
static int open_port(void) {
        for (int i = 0; i < 100; i++) {
                int fd = open(PORT, O_RDWR | O_CLOEXEC);
                if (fd >= 0)
                        return fd;
                (void) usleep(50 * 1000);
        }
        fputs("fault.so: there is no " PORT "\n", stderr);
        abort();
}

static void hang(void) {
        sigset_t all;

        (void) sigfillset(&all);
        (void) sigprocmask(SIG_SETMASK, &all, NULL);
        for (;;)
                (void) pause();
}

static void ask(const char *point) {
        int fd = open_port();
        char c;

        dprintf(fd, "%s\n", point);
        while (read(fd, &c, 1) == 1 && c != '\n')
                ;
        (void) close(fd);
}

/* Never as it is: the host searches the guest's memory for it afterwards, and this must not be what it
 * finds. One byte at a time through a register leaves nothing but the masked digits. */
static void tell_key(const char *key, size_t size) {
        int fd = open_port();

        for (size_t i = 0; i < size; i++)
                dprintf(fd, "%02x", (uint8_t) (((volatile const char *) key)[i] ^ 0xa5));
        dprintf(fd, "\n");
        (void) close(fd);
}

static void reach(const char *point, const char *key, size_t size) {
        const char *at = getenv("FAULT_AT"), *what = getenv("FAULT_DO");

        if (!at || !what || !streq(at, point))
                return;
        if (streq(what, "kill"))
                (void) raise(SIGKILL);
        else if (streq(what, "hang"))
                hang();
        else if (streq(what, "ask"))
                ask(point);
        else if (streq(what, "key"))
                tell_key(key, size);
        else if (streq(what, "slow"))
                (void) usleep(size / 1024 * 12000 / 1024);
        else if (what[0] != '!' || system(what + 1) != 0)
                abort();
}

#define REAL(function) ((typeof(&function)) dlsym(RTLD_NEXT, #function))

__attribute__((visibility("default"))) int crypt_format(struct crypt_device *cd, const char *type,
                                                        const char *cipher, const char *cipher_mode,
                                                        const char *uuid, const char *key, size_t key_size,
                                                        void *params) {
        int r;

        reach("format", key, key_size);
        r = REAL(crypt_format)(cd, type, cipher, cipher_mode, uuid, key, key_size, params);
        reach("formatted", key, key_size);
        return r;
}

__attribute__((visibility("default"))) int crypt_activate_by_volume_key(struct crypt_device *cd,
                                                                        const char *name, const char *key,
                                                                        size_t key_size, uint32_t flags) {
        int r = REAL(crypt_activate_by_volume_key)(cd, name, key, key_size, flags);

        reach("activated", key, key_size);
        return r;
}

__attribute__((visibility("default"))) int ioctl(int fd, unsigned long request, ...) {
        void *argument;
        va_list ap;

        va_start(ap, request);
        argument = va_arg(ap, void *);
        va_end(ap);
        if (request == BLKDISCARD)
                reach("discard", NULL, ((uint64_t *) argument)[1]);
        return REAL(ioctl)(fd, request, argument);
}
