/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "luks.h"

#include <fcntl.h>
#include <inttypes.h>
#include <libcryptsetup.h>
#include <linux/keyctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "clock.h"
#include "entropy.h"
#include "integrity.h"
#include "mapping.h"

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

/* Holds what is needed while the mapping is made. */
typedef struct Context {
        struct crypt_device *cd;
        int header_fd; /* memfd with the header, for Header=ram */
} Context;

static void context_done(Context *c) {
        crypt_free(c->cd);
        safe_close(c->header_fd);
}

/* libcryptsetup tells the cause of an error only in its log; the last such line becomes the detail. */
static char last_error[256];

static void on_log(int level, const char *message, void *userdata) {
        if (level == CRYPT_LOG_ERROR)
                snprintf(last_error, sizeof(last_error), "%.*s", (int) strcspn(message, "\n"), message);
}

static int fail(Failure *f, Reason reason, int error, const char *what) {
        (void) failure_set(f, reason, error, "%s%s%s", what, last_error[0] ? ": " : "", last_error);
        mapping_explain("crypt", f);
        return error;
}

/* Makes a context whose header is on the disk, or in a memfd. */
static int init_context(Context *c, const Device *disk, bool header_in_ram) {
        char path[32];

        if (!header_in_ram)
                return crypt_init(&c->cd, disk->node);

        c->header_fd = memfd_create("ccvm-scratch-header", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
        if (c->header_fd < 0 && errno == EINVAL)
                c->header_fd = memfd_create("ccvm-scratch-header", MFD_CLOEXEC);
        if (c->header_fd < 0 || ftruncate(c->header_fd, DATA_OFFSET) < 0)
                return -errno;
        snprintf(path, sizeof(path), "/proc/self/fd/%i", c->header_fd);
        return crypt_init_data_device(&c->cd, path, disk->node);
}

/* The kernel maps no part of a sector, so that a disk that is not a multiple of the preferred size gets the
 * largest that divides it. Slower, and better than none. */
static uint32_t sector_size(const Device *disk) {
        uint32_t size = SECTOR_SIZE;

        while (disk->size % size != 0)
                size /= 2;
        return size;
}

static uint64_t data_offset(const Config *config) {
        return config->header == HEADER_RAM ? 0 : DATA_OFFSET;
}

static int format(Context *c, const Device *disk, const Key *key, const Config *config) {
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
                .data_device = config->header == HEADER_RAM ? disk->node : NULL,
                .sector_size = sector_size(disk),
                .label = "ccvm-scratch",
        };
        int r;

        r = init_context(c, disk, config->header == HEADER_RAM);
        if (r < 0)
                return r;
        r = crypt_set_metadata_size(c->cd, METADATA_SIZE, KEYSLOTS_SIZE);
        if (r < 0)
                return r;
        r = crypt_set_data_offset(c->cd, data_offset(config) / 512);
        if (r < 0)
                return r;
        return crypt_format(c->cd, CRYPT_LUKS2, CIPHER, CIPHER_MODE, NULL, /* a new UUID */
                            (const char *) key->bytes, KEY_SIZE, &params);
}

/* libcryptsetup hands the key to dm-crypt through the thread keyring, and leaves it there for the end of the
 * process. But the kernel's open files of the disk and of the mapping keep the credentials of the process
 * that opened them, and those its thread keyring (since Linux 6.9): without this the key would stay in it
 * for as long as the pool is mounted, beside the copy in dm-crypt, and survive even a wipe of that one. */
static void forget_uploaded_key(void) {
        (void) syscall(SYS_keyctl, KEYCTL_CLEAR, KEY_SPEC_THREAD_KEYRING);
}

/* Private: udev makes the node, and no rule looks for a file system or a partition table in what is noise
 * yet. With dm-crypt's work queues, so that all CPUs encrypt what one program writes: without them small
 * writes would be a third faster, and with two CPUs large ones that much slower. */
static int activate(Context *c, const Key *key, const Config *config) {
        uint32_t flags = CRYPT_ACTIVATE_PRIVATE;
        int r;

        if (config->discard)
                flags |= CRYPT_ACTIVATE_ALLOW_DISCARDS;
        r = crypt_activate_by_volume_key(c->cd, LUKS_MAPPING, (const char *) key->bytes, KEY_SIZE, flags);
        forget_uploaded_key();
        return r;
}

static bool has_keyslot(struct crypt_device *cd) {
        int max = crypt_keyslot_max(CRYPT_LUKS2);

        for (int i = 0; i < max; i++)
                if (crypt_keyslot_status(cd, i) >= CRYPT_SLOT_ACTIVE)
                        return true;
        return false;
}

/* Compares the kernel's table (dm-crypt.rst) and the header with what was asked for, and notes that. */
static int verify(Context *c, const Device *disk, const Config *config, Status *s) {
        char device[24], offset[24], sectors[32];
        uint32_t sector = sector_size(disk);
        const Table wanted = {
                .type = "crypt",
                .length = (disk->size - data_offset(config)) / 512,
                .key_size = KEY_SIZE,
                .positional = { CIPHER "-" CIPHER_MODE, TABLE_KEY, "0", device, offset },
                .options = { sector == 512 ? NULL : sectors, config->discard ? "allow_discards" : NULL },
        };
        int r;

        (void) snprintf(device, sizeof(device), "%u:%u", major(disk->number), minor(disk->number));
        (void) snprintf(offset, sizeof(offset), "%" PRIu64, data_offset(config) / 512);
        (void) snprintf(sectors, sizeof(sectors), "sector_size:%u", sector);
        r = mapping_verify(LUKS_MAPPING, &wanted, &s->failure);
        if (r < 0)
                return r;
        if (has_keyslot(c->cd))
                return status_fail(s, REASON_VERIFY, 0, "The header has a keyslot");
        s->mapper = strdup(LUKS_NODE);
        s->uuid = strdup(crypt_get_uuid(c->cd) ?: "");
        s->cipher = strdup(wanted.positional[0]);
        s->header = strdup(config->header == HEADER_RAM ? "ram" : "disk");
        s->integrity = strdup(config->integrity == INTEGRITY_NO ? "no" : "hmac-sha256");
        if (!s->mapper || !s->uuid || !s->cipher || !s->header || !s->integrity)
                return status_fail(s, REASON_INTERNAL, ENOMEM, "Failed to note the mapping");
        s->key_size = wanted.key_size * 8;
        s->sector_size = sector;
        s->size_bytes = wanted.length * 512;
        return 0;
}

/* The key, and each copy of it in libcryptsetup, is gone with the return. */
static int open_mapping(const Device *disk, const Config *config, Status *s) {
        _cleanup_(context_done) Context c = { .header_fd = -EBADF };
        _cleanup_key_ Key key = {};
        uint64_t watch = now_usec();
        int r;

        r = key_make(disk, KEY_SIZE, &s->failure, &key);
        if (r < 0)
                return r;
        crypt_set_log_callback(NULL, on_log, NULL);
        /* Locks are for several programs that read and write one header. This one has a single writer and no
         * reader, and the initrd need not have a directory for them. */
        (void) crypt_metadata_locking(NULL, 0);
        r = format(&c, disk, &key, config);
        s->timings_usec[TIMING_FORMAT] += lap_usec(&watch);
        if (r < 0)
                return fail(&s->failure, REASON_FORMAT, r, "Failed to format the disk");
        r = activate(&c, &key, config);
        if (r < 0)
                return fail(&s->failure, REASON_ACTIVATE, r, "Failed to activate the mapping");
        r = verify(&c, disk, config, s);
        s->timings_usec[TIMING_ACTIVATE] = lap_usec(&watch);
        return r;
}

static int open_layers(const Device *disk, const Config *config, Status *s) {
        _cleanup_(device_done) Device below = {};
        uint64_t watch = now_usec();
        int r;

        if (config->integrity == INTEGRITY_NO)
                return open_mapping(disk, config, s);
        r = integrity_open(disk, config->discard, &s->failure, &below);
        s->timings_usec[TIMING_FORMAT] += lap_usec(&watch);
        if (r < 0)
                return r;
        return open_mapping(&below, config, s);
}

int luks_open(const Device *disk, const Config *config, Status *s) {
        int r;

        /* libcryptsetup has copies of the key in memory that is not locked. */
        if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
                return status_fail(s, REASON_INTERNAL, errno, "Failed to lock the memory");
        r = open_layers(disk, config, s);
        (void) munlockall();
        if (r < 0)
                (void) luks_close();
        return r;
}

int luks_close(void) {
        int r = mapping_close(LUKS_MAPPING), q = integrity_close();

        return r < 0 ? r : q;
}

int luks_release(void) {
        int r = mapping_release(LUKS_MAPPING);

        return r < 0 ? r : integrity_release();
}

int luks_release_renamed(void) {
        char name[sizeof(LUKS_MAPPING "-old-") + 10];
        int r = -EBUSY;

        for (unsigned i = 1; r == -EBUSY && i < 1000; i++) {
                snprintf(name, sizeof(name), LUKS_MAPPING "-old-%u", i);
                r = mapping_rename(LUKS_MAPPING, name);
        }
        if (r < 0)
                return r == -ENODEV ? 0 : r;
        return mapping_release(name);
}
