/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "luks.h"

#include <fcntl.h>
#include <linux/keyctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "clock.h"
#include "cryptsetup.h"
#include "integrity.h"
#include "mapping.h"
#include "parse.h"
#include "table.h"

#define KEY_SIZE (512 / 8) /* bytes: two AES-256 keys */
#define SECTOR_SIZE 4096   /* bytes; see sector_size() */
#define CIPHER "aes"
#define CIPHER_MODE "xts-plain64"

/* The smallest that LUKS2 has. There is no keyslot, so the area for them is as small as it can be. */
#define METADATA_SIZE (UINT64_C(16) * 1024)
#define KEYSLOTS_SIZE (UINT64_C(128) * 1024)
/* Bytes, with the header on the disk. All up to it is written by the format, so that it is no larger than
 * needed; a multiple of every block size that a host's file system has. */
#define DATA_OFFSET (UINT64_C(256) * 1024)

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

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
        q = integrity_close(disk);
        return r < 0 ? r : q;
}

int luks_remove_later(void) {
        int r = mapping_remove(LUKS_MAPPING);

        return r < 0 ? r : integrity_remove_later();
}

int luks_put_aside(void) {
        char name[sizeof(LUKS_MAPPING "-old-") + 10];
        int r = -EBUSY;

        for (unsigned i = 1; r == -EBUSY && i < 1000; i++) {
                snprintf(name, sizeof(name), LUKS_MAPPING "-old-%u", i);
                r = mapping_rename(LUKS_MAPPING, name);
        }
        if (r < 0)
                return r == -ENODEV ? 0 : r;
        return mapping_remove(name);
}

int luks_close_unused(void) {
        int r = mapping_is_in_use(LUKS_MAPPING);

        return r < 0 ? r : r > 0 ? -EBUSY : luks_close(0);
}

/* A context whose header is on the disk, or in a memfd. */
static int init_context(Context *c, const Device *d, bool header_in_ram) {
        char path[32];

        if (!header_in_ram)
                return crypt_init(&c->cd, d->node);

        c->header_fd = memfd_create("ccvm-scratch-header", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
        if (c->header_fd < 0 && errno == EINVAL)
                c->header_fd = memfd_create("ccvm-scratch-header", MFD_CLOEXEC);
        if (c->header_fd < 0 || ftruncate(c->header_fd, DATA_OFFSET) < 0)
                return -errno;
        snprintf(path, sizeof(path), "/proc/self/fd/%i", c->header_fd);
        return crypt_init_data_device(&c->cd, path, d->node);
}

/* The kernel maps no part of a sector, so that a disk that is not a multiple of the preferred size gets the
 * largest that divides it. Slower, and better than none. */
static uint32_t sector_size(const Device *d) {
        uint32_t size = SECTOR_SIZE;

        while (d->size % size != 0)
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
        struct crypt_params_luks2 params = {
                .pbkdf = &pbkdf,
                .data_device = o->header_in_ram ? d->node : NULL,
                .sector_size = sector_size(d),
                .label = "ccvm-scratch",
        };
        int r;

        r = crypt_set_metadata_size(c->cd, METADATA_SIZE, KEYSLOTS_SIZE);
        if (r >= 0)
                r = crypt_set_data_offset(c->cd, o->header_in_ram ? 0 : DATA_OFFSET / 512);
        if (r >= 0)
                r = crypt_format(c->cd, CRYPT_LUKS2, CIPHER, CIPHER_MODE, NULL, /* a new UUID */
                                 key, KEY_SIZE, &params);
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
 * writes would be a third faster, and with two CPUs large ones that much slower. */
static int activate(Context *c, const SafeMemory *key, const LuksOptions *o) {
        uint32_t flags = CRYPT_ACTIVATE_PRIVATE;
        int r;

        if (o->discard)
                flags |= CRYPT_ACTIVATE_ALLOW_DISCARDS;
        r = crypt_activate_by_volume_key(c->cd, LUKS_MAPPING, key, KEY_SIZE, flags);
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

/* Compares the kernel's table with what was asked for, and hands it on. */
static int verify(const Device *d, const LuksOptions *o, Status *s, CryptTable *ret) {
        uint64_t offset = o->header_in_ram ? 0 : DATA_OFFSET;
        CryptTable wanted = {
                .length = (d->size - offset) / 512,
                .cipher = CIPHER "-" CIPHER_MODE,
                .key_size = KEY_SIZE * 8,
                .device = d->number,
                .offset = offset / 512,
                .sector_size = sector_size(d),
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
        *ret = t;
        return 0;
}

/* Puts what the kernel and the context say into s. */
static int note(Context *c, const CryptTable *t, const LuksOptions *o, Status *s) {
        s->mapper = strdup(LUKS_NODE);
        s->uuid = strdup(crypt_get_uuid(c->cd) ?: "");
        s->cipher = strdup(t->cipher);
        s->header = strdup(o->header_in_ram ? "ram" : "disk");
        s->integrity = strdup(o->integrity ? INTEGRITY_NAME : "no");
        if (!s->mapper || !s->uuid || !s->cipher || !s->header || !s->integrity)
                return status_fail(s, REASON_INTERNAL, ENOMEM, "Failed to note the mapping");
        s->key_size = t->key_size;
        s->sector_size = t->sector_size;
        s->size_bytes = t->length * 512;
        s->keyslots = count_keyslots(c->cd);
        return s->keyslots == 0 ? 0 : status_fail(s, REASON_VERIFY, 0, "The header has a keyslot");
}

/* The key, and each copy of it in libcryptsetup, is gone with the return. */
static int open_mapping(const Device *d, const LuksOptions *o, Status *s) {
        _cleanup_(context_done) Context c = { .header_fd = -EBADF };
        _cleanup_key_ SafeMemory *key = NULL;
        Stopwatch watch = stopwatch_start();
        CryptTable t;
        int r;

        r = cryptsetup_make_key(d, KEY_SIZE, &key);
        if (r < 0)
                return status_fail(s, REASON_RNG, r, "Failed to get a volume key from the kernel");
        r = init_context(&c, d, o->header_in_ram);
        if (r >= 0)
                r = format(&c, d, key, o);
        s->timings_usec[TIMING_FORMAT] += stopwatch_lap(&watch);
        if (r < 0)
                return cryptsetup_fail(s, REASON_FORMAT, r, "Failed to format the disk");

        r = activate(&c, key, o);
        if (r < 0)
                return cryptsetup_fail(s, REASON_ACTIVATE, r, "Failed to activate the mapping");
        r = verify(d, o, s, &t);
        if (r >= 0)
                r = note(&c, &t, o, s);
        s->timings_usec[TIMING_ACTIVATE] = stopwatch_lap(&watch);
        return r;
}

static int open_layers(const Device *d, const LuksOptions *o, Status *s) {
        _cleanup_(device_done) Device below = {};
        Stopwatch watch = stopwatch_start();
        int r = 0;

        cryptsetup_prepare();
        if (o->integrity)
                r = integrity_open(d, o->discard, s, &below);
        s->timings_usec[TIMING_FORMAT] += stopwatch_lap(&watch);
        return r < 0 ? r : open_mapping(o->integrity ? &below : d, o, s);
}

int luks_open(const Device *d, const LuksOptions *o, Status *s) {
        int r;

        /* libcryptsetup has copies of the key in memory that is not locked. */
        if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
                return status_fail(s, REASON_INTERNAL, errno, "Failed to lock the memory");
        r = open_layers(d, o, s);
        (void) munlockall();
        if (r < 0)
                (void) luks_close(d->number);
        return r;
}
