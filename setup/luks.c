/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "luks.h"

#include <inttypes.h>
#include <libcryptsetup.h>
#include <linux/keyctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>

#include "clock.h"
#include "parse.h"
#include "table.h"

#define VOLUME_KEY_SIZE (512 / 8) /* bytes: two AES-256 keys, for XTS */
#define SECTOR_SIZE 4096          /* bytes */
#define CIPHER "aes"
#define CIPHER_MODE "xts-plain64"

/* The smallest that LUKS2 has. There is no keyslot, so the area for them is as small as it can be. */
#define METADATA_SIZE (UINT64_C(16) * 1024)
#define KEYSLOTS_SIZE (UINT64_C(128) * 1024)
#define DATA_OFFSET (UINT64_C(1024) * 1024) /* bytes, with the header on the disk */

struct Luks {
        struct crypt_device *cd;
        int header_fd; /* memfd with the header, for Header=ram */
        bool active;
};

static void luks_free(Luks *l) {
        crypt_free(l->cd);
        safe_close(l->header_fd);
        free(l);
}

void luks_close(Luks *l) {
        if (l->active)
                (void) crypt_deactivate_by_name(l->cd, LUKS_MAPPING, CRYPT_DEACTIVATE_FORCE);
        luks_free(l);
}

void luks_keep(Luks *l) {
        luks_free(l);
}

int luks_remove_leftover(void) {
        int r;

        if (crypt_status(NULL, LUKS_MAPPING) == CRYPT_INACTIVE)
                return 0;
        r = crypt_deactivate_by_name(NULL, LUKS_MAPPING, CRYPT_DEACTIVATE_FORCE);
        return r == -ENODEV ? 0 : r;
}

/* libcryptsetup tells the cause of an error only in its log; the last such line becomes the detail. */
static char last_error[256];

static void on_log(int level, const char *message, void *userdata) {
        if (level == CRYPT_LOG_ERROR)
                snprintf(last_error, sizeof(last_error), "%.*s", (int) strcspn(message, "\n"), message);
}

static int fail_with_log(Status *s, Reason reason, int error, const char *what) {
        return last_error[0] ? status_fail(s, reason, error, "%s: %s", what, last_error)
                             : status_fail(s, reason, error, "%s", what);
}

typedef void SafeMemory;
DEFINE_TRIVIAL_CLEANUP_FUNC(SafeMemory *, crypt_safe_free)

/* A new volume key in locked memory, which crypt_safe_free() wipes. From the kernel's pool once that is
 * seeded and never before, which /dev/urandom would not tell; in a VM it is by the time an initrd runs, so
 * the wait only bounds the odd one out. */
static int make_volume_key(SafeMemory **ret) {
        _cleanup_(crypt_safe_freep) SafeMemory *key = crypt_safe_alloc(VOLUME_KEY_SIZE);
        uint64_t deadline = now_usec() + 5 * USEC_PER_SEC;

        if (!key)
                return -ENOMEM;
        for (;;) {
                ssize_t n = getrandom(key, VOLUME_KEY_SIZE, GRND_NONBLOCK);
                if (n == VOLUME_KEY_SIZE)
                        break;
                if (n < 0 && errno != EAGAIN && errno != EINTR)
                        return -errno;
                if (now_usec() > deadline)
                        return -ETIMEDOUT;
                (void) usleep(20 * 1000);
        }
        *ret = TAKE_PTR(key);
        return 0;
}

/* A context whose header is on the disk, or in a memfd. */
static int init_context(Luks *l, const Device *d, bool header_in_ram) {
        char path[32];

        crypt_set_log_callback(NULL, on_log, NULL);
        /* Locks are for several programs that read and write one header. This one has a single writer and no
         * reader, and the initrd need not have a directory for them. */
        (void) crypt_metadata_locking(NULL, 0);

        if (!header_in_ram)
                return crypt_init(&l->cd, d->node);

        l->header_fd = memfd_create("ccvm-scratch-header", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
        if (l->header_fd < 0 || ftruncate(l->header_fd, DATA_OFFSET) < 0)
                return -errno;
        snprintf(path, sizeof(path), "/proc/self/fd/%i", l->header_fd);
        return crypt_init_data_device(&l->cd, path, d->node);
}

static int format(Luks *l, const Device *d, const SafeMemory *key, bool header_in_ram) {
        /* For the digest by which LUKS2 knows the volume key again. Stretching protects weak secrets, and
         * this one has 512 random bits; 1000 is the least that the format allows. */
        const struct crypt_pbkdf_type pbkdf = {
                .type = CRYPT_KDF_PBKDF2,
                .hash = "sha256",
                .iterations = 1000,
                .flags = CRYPT_PBKDF_NO_BENCHMARK,
        };
        struct crypt_params_luks2 params = {
                .pbkdf = &pbkdf,
                .data_device = header_in_ram ? d->node : NULL,
                .sector_size = SECTOR_SIZE,
                .label = "ccvm-scratch",
        };
        int r;

        r = crypt_set_metadata_size(l->cd, METADATA_SIZE, KEYSLOTS_SIZE);
        if (r >= 0)
                r = crypt_set_data_offset(l->cd, header_in_ram ? 0 : DATA_OFFSET / 512);
        if (r >= 0)
                r = crypt_format(l->cd, CRYPT_LUKS2, CIPHER, CIPHER_MODE, NULL, /* a new UUID */
                                 key, VOLUME_KEY_SIZE, &params);
        return r;
}

/* libcryptsetup hands the key to dm-crypt through the thread keyring, and leaves it there for the end of the
 * process. But the kernel's open files of the disk and of the mapping keep the credentials of the process
 * that opened them, and those its thread keyring (since Linux 6.9): without this the key would stay in it
 * for as long as the pool is mounted, beside the copy in dm-crypt, and survive even a wipe of that one. */
static void forget_uploaded_key(void) {
        (void) syscall(SYS_keyctl, KEYCTL_CLEAR, KEY_SPEC_THREAD_KEYRING);
}

static int activate(Luks *l, const SafeMemory *key, bool discard) {
        int r;

        r = crypt_activate_by_volume_key(l->cd, LUKS_MAPPING, key, VOLUME_KEY_SIZE,
                                         discard ? CRYPT_ACTIVATE_ALLOW_DISCARDS : 0);
        if (r >= 0)
                l->active = true;
        forget_uploaded_key();
        return r;
}

static uint64_t count_keyslots(struct crypt_device *cd) {
        int max = crypt_keyslot_max(CRYPT_LUKS2);
        uint64_t n = 0;

        for (int i = 0; i < max; i++)
                n += crypt_keyslot_status(cd, i) >= CRYPT_SLOT_ACTIVE;
        return n;
}

/* Compares the kernel's table with what was asked for, and puts what it says into s. */
static int verify(Luks *l, const Device *d, const LuksOptions *o, Status *s) {
        uint64_t offset = o->header_in_ram ? 0 : DATA_OFFSET;
        const CryptTable wanted = {
                .length = (d->size - offset) / 512,
                .cipher = CIPHER "-" CIPHER_MODE,
                .key_size = VOLUME_KEY_SIZE * 8,
                .device = d->number,
                .offset = offset / 512,
                .sector_size = SECTOR_SIZE,
                .allow_discards = o->discard,
        };
        const char *difference;
        CryptTable t;
        int r;

        r = table_read(LUKS_MAPPING, &t);
        if (r < 0)
                return status_fail(s, REASON_VERIFY, r,
                                   "The mapping is not one crypt target of the expected form");
        difference = table_difference(&t, &wanted);
        if (difference)
                return status_fail(s, REASON_VERIFY, 0, "The mapping has another %s than was asked for",
                                   difference);

        s->mapper = strdup(LUKS_NODE);
        s->uuid = strdup(crypt_get_uuid(l->cd) ?: "");
        s->cipher = strdup(t.cipher);
        s->header = strdup(o->header_in_ram ? "ram" : "disk");
        s->integrity = strdup("no");
        if (!s->mapper || !s->uuid || !s->cipher || !s->header || !s->integrity)
                return status_fail(s, REASON_INTERNAL, ENOMEM, "Failed to note the mapping");
        s->key_size = t.key_size;
        s->sector_size = t.sector_size;
        s->size_bytes = t.length * 512;
        s->keyslots = count_keyslots(l->cd);
        return s->keyslots == 0 ? 0 : status_fail(s, REASON_VERIFY, 0, "The header has a keyslot");
}

int luks_open(const Device *d, const LuksOptions *o, Status *s, Luks **ret) {
        _cleanup_(crypt_safe_freep) SafeMemory *key = NULL;
        _cleanup_(luks_closep) Luks *l = calloc(1, sizeof(Luks));
        Stopwatch watch = stopwatch_start();
        int r;

        if (!l)
                return status_fail(s, REASON_INTERNAL, ENOMEM, "Failed to start");
        l->header_fd = -EBADF;

        r = make_volume_key(&key);
        if (r < 0)
                return status_fail(s, REASON_RNG, r, "Failed to get a volume key from the kernel");
        r = init_context(l, d, o->header_in_ram);
        if (r >= 0)
                r = format(l, d, key, o->header_in_ram);
        s->timings_usec[TIMING_FORMAT] = stopwatch_lap(&watch);
        if (r < 0)
                return fail_with_log(s, REASON_FORMAT, r, "Failed to format the disk");

        r = activate(l, key, o->discard);
        if (r < 0)
                return fail_with_log(s, REASON_ACTIVATE, r, "Failed to activate the mapping");
        r = verify(l, d, o, s);
        s->timings_usec[TIMING_ACTIVATE] = stopwatch_lap(&watch);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(l);
        return 0;
}
