/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "entropy.h"

#include <fcntl.h>
#include <glob.h>
#include <linux/random.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "clock.h"
#include "fileio.h"
#include "parse.h"

/* Bytes of a hardware generator: more than the kernel has of a virtio-rng in store, which was drawn before
 * the snapshot. It answers within microseconds, or not at all. */
#define HARDWARE_SIZE 256
#define HARDWARE_TRIES 10
#define HARDWARE_PAUSE_USEC 1000

#define RANDOM_TIMEOUT 8 /* seconds; well within TimeoutStartSec= of the unit */

static void add_clocks(FILE *f) {
        static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_MONOTONIC_RAW };

        for (size_t i = 0; i < ELEMENTSOF(clocks); i++) {
                struct timespec ts = {};
                (void) clock_gettime(clocks[i], &ts);
                (void) fwrite(&ts, sizeof(ts), 1, f);
        }
}

/* Adds names of the machine, and the real-time clock, which is the host's: it goes on while a snapshot lies
 * on a disk. */
static void add_files(FILE *f, const char *root) {
        static const char *const patterns[] = {
                "/sys/class/rtc/rtc*/since_epoch",  "/sys/class/dmi/id/product_uuid",
                "/sys/class/dmi/id/product_serial", "/sys/hypervisor/uuid",
                "/sys/class/net/*/address",
        };

        for (size_t i = 0; i < ELEMENTSOF(patterns); i++) {
                _cleanup_free_ char *pattern = NULL;
                glob_t found = {};

                if (asprintf(&pattern, "%s%s", root, patterns[i]) >= 0)
                        (void) glob(pattern, GLOB_NOSORT, NULL, &found);
                for (size_t j = 0; j < found.gl_pathc; j++) {
                        _cleanup_free_ char *text = NULL;
                        if (file_read(found.gl_pathv[j], KIB, &text) >= 0)
                                fputs(text, f);
                }
                globfree(&found);
        }
}

/* Adds where the disk is plugged in, and its size. */
static void add_disk(FILE *f, const char *root, const Device *disk) {
        _cleanup_free_ char *link = NULL;
        char place[512];
        ssize_t n = -1;

        if (asprintf(&link, "%s/sys/dev/block/%u:%u", root, major(disk->number), minor(disk->number)) >= 0)
                n = readlink(link, place, sizeof(place));
        if (n > 0)
                (void) fwrite(place, 1, n, f);
        (void) fwrite(&disk->size, sizeof(disk->size), 1, f);
}

static size_t read_hardware(int fd, char *bytes, size_t max) {
        unsigned tries = 0;
        size_t size = 0;

        while (size < max && tries < HARDWARE_TRIES) {
                ssize_t n = read(fd, bytes + size, max - size);
                if (n > 0) {
                        size += n;
                        continue;
                }
                if (n == 0 || errno != EAGAIN)
                        break;
                tries++;
                (void) usleep(HARDWARE_PAUSE_USEC);
        }
        return size;
}

static void add_hardware(FILE *f, const char *root) {
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = -EBADF;
        char bytes[HARDWARE_SIZE];

        if (asprintf(&path, "%s/dev/hwrng", root) < 0)
                return;
        fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return;
        (void) fwrite(bytes, 1, read_hardware(fd, bytes, sizeof(bytes)), f);
        explicit_bzero(bytes, sizeof(bytes));
}

int entropy_write(FILE *f, const char *root, const Device *disk) {
        add_clocks(f);
        add_files(f, root);
        add_disk(f, root, disk);
        add_hardware(f, root);
        return fflush(f) == 0 && !ferror(f) ? 0 : -EIO;
}

/* Mixes into the kernel's generator what tells this machine from its clones: clocks, names of the machine,
 * the disk's place and size, the addresses of network cards, and what a hardware generator gives. Then has
 * the kernel make a new seed of all that, with the CPU's own random numbers or else its cycle counter. What
 * is random already stays so. Takes 10 ms at most. */
static int reseed(const Device *disk) {
        _cleanup_fclose_ FILE *f = fopen("/dev/urandom", "we");
        int r;

        if (!f)
                return -errno;
        setbuf(f, NULL);    /* what a hardware generator gives stays nowhere */
        interrupt_after(1); /* the kernel may be waiting for one itself */
        r = entropy_write(f, "", disk);
        interrupt_after(0);
        if (r < 0)
                return r;
        /* One that was never seeded makes its first seed of this too. */
        if (ioctl(fileno(f), RNDRESEEDCRNG) < 0 && errno != ENODATA)
                return -errno;
        return 0;
}

/* From the kernel's generator once that is seeded and never before, which /dev/urandom would not tell. The
 * call has to block: where the CPU has no RDRAND and the VM no virtio-rng, the kernel makes entropy out
 * of its own jitter, but only while a program waits for it. That takes about a second; the alarm bounds
 * the odd machine where it never ends. */
static int draw(Key *key, size_t size) {
        ssize_t n;
        int e;

        interrupt_after(RANDOM_TIMEOUT);
        n = getrandom(key->bytes, size, 0);
        e = errno;
        interrupt_after(0);
        if (n == (ssize_t) size)
                return 0;
        return n < 0 && e != EINTR ? -e : -ETIMEDOUT;
}

int key_make(const Device *disk, size_t size, Failure *f, Key *ret) {
        int r;

        r = reseed(disk);
        if (r < 0)
                return failure_set(f, REASON_RNG, r,
                                   "Failed to reseed the kernel's random number generator");
        r = draw(ret, size);
        if (r < 0)
                return failure_set(f, REASON_RNG, r, "Failed to get a key from the kernel");
        return 0;
}

void key_wipe(Key *key) {
        explicit_bzero(key, sizeof(*key));
}
