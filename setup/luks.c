/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "luks.h"

#include <fcntl.h>
#include <libcryptsetup.h>
#include <linux/fs.h>
#include <linux/keyctl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>

#include "clock.h"
#include "mapping.h"
#include "parse.h"
#include "table.h"

#define XTS_KEY_SIZE (512 / 8)  /* bytes: two AES-256 keys */
#define HMAC_KEY_SIZE (256 / 8) /* bytes, behind them in the volume key */
#define HMAC_TAG_SIZE (256 / 8) /* bytes */
#define SECTOR_SIZE 4096        /* bytes; see sector_size() */
#define CIPHER "aes"
#define CIPHER_MODE "xts-plain64"
#define CIPHER_AUTHENTICATED "capi:authenc(hmac(sha256),xts(aes))-plain64" /* as the kernel names it */
#define INTEGRITY_MAPPING LUKS_MAPPING "_dif"                              /* libcryptsetup's name */

#define RANDOM_TIMEOUT 8 /* seconds; well within TimeoutStartSec= of the unit */

/* One call is not interrupted: small enough that a slow disk is noticed in time. */
#define DISCARD_STEP (UINT64_C(1024) * MIB)
#define DISCARD_TIMEOUT (2 * USEC_PER_SEC)

/* The smallest that LUKS2 has. There is no keyslot, so the area for them is as small as it can be. */
#define METADATA_SIZE (UINT64_C(16) * 1024)
#define KEYSLOTS_SIZE (UINT64_C(128) * 1024)
/* Bytes, with the header on the disk. All up to it is written by the format, so that it is no larger than
 * needed; a multiple of every block size that a host's file system has. */
#define DATA_OFFSET (UINT64_C(256) * 1024)

/* What is needed while the mapping is made, and gone before anybody uses it. */
typedef struct Context {
        struct crypt_device *cd;
        int header_fd; /* memfd with the header, for Header=ram */
} Context;

static void context_done(Context *c) {
        crypt_free(c->cd);
        safe_close(c->header_fd);
}

int luks_close(dev_t disk) {
        int r, q;

        r = mapping_take_down(LUKS_MAPPING);
        q = mapping_take_down(INTEGRITY_MAPPING);
        r = r < 0 ? r : q;
        /* libcryptsetup has one with a random name while it formats. */
        q = disk ? mapping_take_down_all("temporary-cryptsetup-", disk) : 0;
        return r < 0 ? r : q;
}

int luks_close_unused(void) {
        int r = mapping_is_in_use(LUKS_MAPPING);

        return r < 0 ? r : r > 0 ? -EBUSY : luks_close(0);
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
 * seeded and never before, which /dev/urandom would not tell. The call has to block: where the CPU has no
 * RDRAND and the VM no virtio-rng, the kernel makes entropy out of its own jitter, but only while somebody
 * waits for it. That takes about a second; the alarm bounds the odd machine where it never ends. */
static int make_volume_key(size_t size, SafeMemory **ret) {
        _cleanup_(crypt_safe_freep) SafeMemory *key = crypt_safe_alloc(size);
        ssize_t n;
        int e;

        if (!key)
                return -ENOMEM;
        interrupt_after(RANDOM_TIMEOUT);
        n = getrandom(key, size, 0);
        e = errno;
        interrupt_after(0);
        if (n != (ssize_t) size)
                return n < 0 && e != EINTR ? -e : -ETIMEDOUT;

        *ret = TAKE_PTR(key);
        return 0;
}

/* A context whose header is on the disk, or in a memfd. */
static int init_context(Context *c, const Device *d, bool header_in_ram) {
        char path[32];

        crypt_set_log_callback(NULL, on_log, NULL);
        /* Locks are for several programs that read and write one header. This one has a single writer and no
         * reader, and the initrd need not have a directory for them. */
        (void) crypt_metadata_locking(NULL, 0);

        if (!header_in_ram)
                return crypt_init(&c->cd, d->node);

        c->header_fd = memfd_create("ccvm-scratch-header", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
        if (c->header_fd < 0 || ftruncate(c->header_fd, DATA_OFFSET) < 0)
                return -errno;
        snprintf(path, sizeof(path), "/proc/self/fd/%i", c->header_fd);
        return crypt_init_data_device(&c->cd, path, d->node);
}

static size_t volume_key_size(const LuksOptions *o) {
        return XTS_KEY_SIZE + (o->integrity ? HMAC_KEY_SIZE : 0);
}

/* The kernel maps no part of a sector, so that a disk that is not a multiple of the preferred size gets the
 * largest that divides it. Slower, and better than none. dm-integrity leaves a rest over by itself. */
static uint32_t sector_size(const Device *d, const LuksOptions *o) {
        uint32_t size = SECTOR_SIZE;

        while (!o->integrity && d->size % size != 0)
                size /= 2;
        return size;
}

static int format(Context *c, const Device *d, const SafeMemory *key, const LuksOptions *o) {
        /* For the digest by which LUKS2 knows the volume key again. Stretching protects weak secrets, and
         * this one has 512 random bits; 1000 is the least that the format allows. */
        const struct crypt_pbkdf_type pbkdf = {
                .type = CRYPT_KDF_PBKDF2,
                .hash = "sha256",
                .iterations = 1000,
                .flags = CRYPT_PBKDF_NO_BENCHMARK,
        };
        /* The journal is never used (see activate()), but it is written once, so it is small. */
        const struct crypt_params_integrity integrity = {
                .journal_size = 64 * KIB,
        };
        struct crypt_params_luks2 params = {
                .pbkdf = &pbkdf,
                .integrity = o->integrity ? "hmac(sha256)" : NULL,
                .integrity_params = o->integrity ? &integrity : NULL,
                .data_device = o->header_in_ram ? d->node : NULL,
                .sector_size = sector_size(d, o),
                .label = "ccvm-scratch",
        };
        int r;

        r = crypt_set_metadata_size(c->cd, METADATA_SIZE, KEYSLOTS_SIZE);
        if (r >= 0)
                r = crypt_set_data_offset(c->cd, o->header_in_ram ? 0 : DATA_OFFSET / 512);
        if (r >= 0)
                r = crypt_format(c->cd, CRYPT_LUKS2, CIPHER, CIPHER_MODE, NULL, /* a new UUID */
                                 key, volume_key_size(o), &params);
        return r;
}

/* libcryptsetup hands the key to dm-crypt through the thread keyring, and leaves it there for the end of the
 * process. But the kernel's open files of the disk and of the mapping keep the credentials of the process
 * that opened them, and those its thread keyring (since Linux 6.9): without this the key would stay in it
 * for as long as the pool is mounted, beside the copy in dm-crypt, and survive even a wipe of that one. */
static void forget_uploaded_key(void) {
        (void) syscall(SYS_keyctl, KEYCTL_CLEAR, KEY_SPEC_THREAD_KEYRING);
}

/* Private: udev makes the node, and nobody looks for a file system or a partition table in what is noise
 * yet. With dm-crypt's work queues, so that all CPUs encrypt what one program writes: without them small
 * writes would be a third faster, and with two CPUs large ones that much slower. Without dm-integrity's
 * journal: it keeps data and tags together over a crash, and costs each write twice. */
static int activate(Context *c, const SafeMemory *key, const LuksOptions *o) {
        uint32_t flags = CRYPT_ACTIVATE_PRIVATE;
        int r;

        if (o->integrity)
                flags |= CRYPT_ACTIVATE_NO_JOURNAL;
        else if (o->discard)
                flags |= CRYPT_ACTIVATE_ALLOW_DISCARDS;
        r = crypt_activate_by_volume_key(c->cd, LUKS_MAPPING, key, volume_key_size(o), flags);
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

/* The table of dm-integrity between the mapping and the disk, and what of the wanted table follows from it.
 * How many sectors it leaves it reads from its superblock on the disk: the host can make them fewer. */
static int verify_integrity(const CryptTable *t, CryptTable *wanted, Status *s) {
        IntegrityTable below;
        int r;

        r = table_read_integrity(INTEGRITY_MAPPING, &below);
        if (r < 0)
                return status_fail(s, REASON_VERIFY, r, "There is no integrity target of the expected form");
        if (below.device != wanted->device || below.offset != wanted->offset ||
            below.tag_size != HMAC_TAG_SIZE)
                return status_fail(s, REASON_VERIFY, 0,
                                   "The integrity target is not the one that was asked for");
        if (t->length > wanted->length || t->length % (SECTOR_SIZE / 512) != 0)
                return status_fail(s, REASON_VERIFY, 0, "The mapping is larger than the disk");

        wanted->device = below.number;
        wanted->offset = 0;
        wanted->length = t->length;
        return 0;
}

/* Compares the kernel's table with what was asked for, and hands it on. */
static int verify(const Device *d, const LuksOptions *o, Status *s, CryptTable *ret) {
        uint64_t offset = o->header_in_ram ? 0 : DATA_OFFSET;
        CryptTable wanted = {
                .length = (d->size - offset) / 512,
                .cipher = CIPHER "-" CIPHER_MODE,
                .key_size = volume_key_size(o) * 8,
                .device = d->number,
                .offset = offset / 512,
                .sector_size = sector_size(d, o),
                .tag_size = o->integrity ? HMAC_TAG_SIZE : 0,
                .allow_discards = o->discard && !o->integrity,
        };
        const char *difference;
        CryptTable t;
        int r;

        r = table_read(LUKS_MAPPING, &t);
        if (r < 0)
                return status_fail(s, REASON_VERIFY, r,
                                   "The mapping is not one crypt target of the expected form");
        if (o->integrity) {
                strcpy(wanted.cipher, CIPHER_AUTHENTICATED);
                r = verify_integrity(&t, &wanted, s);
                if (r < 0)
                        return r;
        }
        difference = table_difference(&t, &wanted);
        if (difference)
                return status_fail(s, REASON_VERIFY, 0, "The mapping has another %s than was asked for",
                                   difference);
        *ret = t;
        return 0;
}

/* Puts what the kernel and the context say into s. */
static int note(Context *c, const CryptTable *t, const LuksOptions *o, Status *s) {
        s->mapper = strdup(LUKS_NODE);
        s->uuid = strdup(crypt_get_uuid(c->cd) ?: "");
        s->cipher = strdup(t->cipher);
        s->header = strdup(o->header_in_ram ? "ram" : "disk");
        s->integrity = strdup(o->integrity ? "hmac-sha256" : "no");
        if (!s->mapper || !s->uuid || !s->cipher || !s->header || !s->integrity)
                return status_fail(s, REASON_INTERNAL, ENOMEM, "Failed to note the mapping");
        s->key_size = t->key_size;
        s->sector_size = t->sector_size;
        s->size_bytes = t->length * 512;
        s->keyslots = count_keyslots(c->cd);
        return s->keyslots == 0 ? 0 : status_fail(s, REASON_VERIFY, 0, "The header has a keyslot");
}

/* A sector that was never written has no valid tag, and reading it is an error. The file systems write
 * before they read, but mkfs looks at both ends first, for what it is going to replace. */
static int write_ends(uint64_t size) {
        static const char zeros[64 * KIB];
        _cleanup_close_ int fd = open(LUKS_NODE, O_WRONLY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        if (pwrite(fd, zeros, sizeof(zeros), 0) != sizeof(zeros) ||
            pwrite(fd, zeros, sizeof(zeros), size - sizeof(zeros)) != sizeof(zeros) || fsync(fd) < 0)
                return -(errno ?: EIO);
        return 0;
}

/* A VM that reboots has the blocks that it had. What is in them is noise since the last boot's key is gone,
 * and takes room on the host. A disk that is slow at it is not waited for. */
static void discard_all(const Device *d) {
        _cleanup_close_ int fd = open(d->node, O_WRONLY | O_CLOEXEC);
        uint64_t start = now_usec();

        if (fd < 0)
                return;
        for (uint64_t at = 0; at < d->size && now_usec() - start < DISCARD_TIMEOUT; at += DISCARD_STEP) {
                uint64_t left = d->size - at;
                uint64_t range[] = { at, left < DISCARD_STEP ? left : DISCARD_STEP };
                if (ioctl(fd, BLKDISCARD, range) < 0)
                        return;
        }
}

/* The key, and each copy of it in libcryptsetup, is gone with the return. */
static int open_mapping(const Device *d, const LuksOptions *o, Status *s) {
        _cleanup_(context_done) Context c = { .header_fd = -EBADF };
        _cleanup_(crypt_safe_freep) SafeMemory *key = NULL;
        Stopwatch watch = stopwatch_start();
        CryptTable t;
        int r;

        r = make_volume_key(volume_key_size(o), &key);
        if (r < 0)
                return status_fail(s, REASON_RNG, r, "Failed to get a volume key from the kernel");
        if (o->discard)
                discard_all(d);
        r = init_context(&c, d, o->header_in_ram);
        if (r >= 0)
                r = format(&c, d, key, o);
        s->timings_usec[TIMING_FORMAT] = stopwatch_lap(&watch);
        if (r < 0)
                return fail_with_log(s, REASON_FORMAT, r, "Failed to format the disk");

        r = activate(&c, key, o);
        if (r < 0)
                return fail_with_log(s, REASON_ACTIVATE, r, "Failed to activate the mapping");
        r = verify(d, o, s, &t);
        if (r >= 0)
                r = note(&c, &t, o, s);
        if (r >= 0 && o->integrity && (r = write_ends(s->size_bytes)) < 0)
                r = status_fail(s, REASON_ACTIVATE, r, "Failed to write to the new mapping");
        s->timings_usec[TIMING_ACTIVATE] = stopwatch_lap(&watch);
        return r;
}

int luks_open(const Device *d, const LuksOptions *o, Status *s) {
        int r;

        /* libcryptsetup has copies of the key in memory that is not locked. */
        if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
                return status_fail(s, REASON_INTERNAL, errno, "Failed to lock the memory");
        r = open_mapping(d, o, s);
        (void) munlockall();
        if (r < 0)
                (void) luks_close(d->number);
        return r;
}
