/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "cryptsetup.h"

#include <sys/random.h>

#include "clock.h"
#include "entropy.h"
#include "mapping.h"

#define RANDOM_TIMEOUT 8 /* seconds; well within TimeoutStartSec= of the unit */

/* libcryptsetup tells the cause of an error only in its log; the last such line becomes the detail. */
static char last_error[256];

static void on_log(int level, const char *message, void *userdata) {
        if (level == CRYPT_LOG_ERROR)
                snprintf(last_error, sizeof(last_error), "%.*s", (int) strcspn(message, "\n"), message);
}

void cryptsetup_prepare(void) {
        crypt_set_log_callback(NULL, on_log, NULL);
        /* Locks are for several programs that read and write one header. This one has a single writer and no
         * reader, and the initrd need not have a directory for them. */
        (void) crypt_metadata_locking(NULL, 0);
}

int cryptsetup_fail(Failure *f, Reason reason, int error, const char *what, const char *type) {
        (void) failure_set(f, reason, error, "%s%s%s", what, last_error[0] ? ": " : "", last_error);
        mapping_explain(type, f);
        return error;
}

/* From the kernel's generator once that is seeded and never before, which /dev/urandom would not tell. The
 * call has to block: where the CPU has no RDRAND and the VM no virtio-rng, the kernel makes entropy out
 * of its own jitter, but only while a program waits for it. That takes about a second; the alarm bounds
 * the odd machine where it never ends. */
static int draw(SafeMemory *key, size_t size) {
        ssize_t n;
        int e;

        interrupt_after(RANDOM_TIMEOUT);
        n = getrandom(key, size, 0);
        e = errno;
        interrupt_after(0);
        if (n == (ssize_t) size)
                return 0;
        return n < 0 && e != EINTR ? -e : -ETIMEDOUT;
}

int cryptsetup_make_key(const Device *disk, size_t size, Failure *f, SafeMemory **ret) {
        _cleanup_key_ SafeMemory *key = crypt_safe_alloc(size);
        int r;

        if (!key)
                return failure_set(f, REASON_RNG, ENOMEM, "Failed to lock memory for a key");
        r = entropy_renew(disk);
        if (r < 0)
                return failure_set(f, REASON_RNG, r,
                                   "Failed to reseed the kernel's random number generator");
        r = draw(key, size);
        if (r < 0)
                return failure_set(f, REASON_RNG, r, "Failed to get a key from the kernel");
        *ret = TAKE_PTR(key);
        return 0;
}
