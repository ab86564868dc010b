/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "integrity.h"

#include <inttypes.h>
#include <sys/sysmacros.h>

#include "cryptsetup.h"
#include "fileio.h"
#include "log.h"
#include "mapping.h"
#include "parse.h"
#include "status.h"
#include "tags.h"

#define MAPPING "ccvm-scratch_dif"
#define NODE "/dev/mapper/" MAPPING

#define HASH "hmac(sha256)"
#define KEY_SIZE 32      /* bytes, as many as the hash has */
#define TAG_SIZE 16U     /* bytes of it: who guesses one has a chance of 2^-128, and an I/O error else */
#define SECTOR_SIZE 4096 /* bytes that have a tag */

/* The superblock, the journal, which is there and not used, and what rounding costs. */
#define METADATA_SIZE MIB
#define JOURNAL_SIZE (64 * KIB)

/* dm-integrity takes all of the device that it is given: where there is no room for the tags of all of the
 * disk, this is its beginning. */
#define PART MAPPING "_part"

/* libcryptsetup has a mapping with a random name while it formats. */
#define TEMPORARY "temporary-cryptsetup-"

/* dm-integrity leaves over what is no whole sector. */
static uint64_t mapped_size(const Device *data) {
        return data->size / SECTOR_SIZE * SECTOR_SIZE;
}

uint64_t integrity_size(uint64_t room) {
        if (room < 2 * METADATA_SIZE)
                return 0;
        return (room - METADATA_SIZE) / TAG_SIZE * SECTOR_SIZE / MIB * MIB;
}

/* Gives the part of the disk whose tags have room in the RAM: all of it, or a mapping of its beginning. */
static int open_part(const Device *disk, Failure *f, Device *ret) {
        _cleanup_(device_done) Device part = { .number = disk->number, .size = disk->size };
        _cleanup_free_ char *meminfo = NULL;
        uint64_t size;
        int r;

        r = file_read("/proc/meminfo", 64 * KIB, &meminfo);
        if (r < 0)
                return failure_set(f, REASON_INTERNAL, r, "Failed to find out how much RAM there is");
        size = integrity_size(tags_room(meminfo));
        if (size == 0)
                return failure_set(f, REASON_FORMAT, ENOMEM, "Failed to find RAM for tags");
        if (size < disk->size) {
                part.size = size;
                r = mapping_create(PART, disk->number, size / 512, &part.number);
                if (r < 0)
                        return cryptsetup_fail(f, REASON_ACTIVATE, r, "Failed to map a part of the disk",
                                               "linear");
                failure_note(f,
                             "Of the %" PRIu64 " MiB of the disk %" PRIu64
                             " MiB are used, as the RAM has no room for the tags of more",
                             disk->size / MIB, size / MIB);
        }
        part.node = strdup(size < disk->size ? "/dev/mapper/" PART : disk->node);
        if (!part.node)
                return failure_set(f, REASON_INTERNAL, ENOMEM, "Failed to map a part of the disk");
        *ret = TAKE_DEVICE(part);
        return 0;
}

/* Without a journal: it keeps data and tags together over a crash, which neither outlives. */
static int activate(const Device *data, const Device *tags, bool discard, const SafeMemory *key,
                    Failure *f) {
        _cleanup_crypt_ struct crypt_device *cd = NULL;
        const struct crypt_params_integrity params = {
                .journal_size = JOURNAL_SIZE,
                .tag_size = TAG_SIZE,
                .sector_size = SECTOR_SIZE,
                .integrity = HASH,
                .integrity_key_size = KEY_SIZE,
        };
        uint32_t flags = CRYPT_ACTIVATE_PRIVATE | CRYPT_ACTIVATE_NO_JOURNAL;
        int r;

        r = crypt_init_data_device(&cd, tags->node, data->node);
        if (r < 0)
                return cryptsetup_fail(f, REASON_FORMAT, r, "Failed to open the device for the tags",
                                       "integrity");
        /* What was never written has the constant tag of a discarded sector (tags.h). Since Linux 7.2 that
         * tag can be a keyed checksum, as whoever can write to the tags can forge the constant; these are in
         * the guest's RAM. */
        crypt_set_compatibility(cd, CRYPT_COMPAT_LEGACY_INTEGRITY_DISCARD);
        r = crypt_format(cd, CRYPT_INTEGRITY, NULL, NULL, NULL, key, KEY_SIZE, (void *) &params);
        if (r < 0)
                return cryptsetup_fail(f, REASON_FORMAT, r, "Failed to format the tags", "integrity");
        if (discard)
                flags |= CRYPT_ACTIVATE_ALLOW_DISCARDS;
        r = crypt_activate_by_volume_key(cd, MAPPING, key, KEY_SIZE, flags);
        if (r < 0)
                return cryptsetup_fail(f, REASON_ACTIVATE, r, "Failed to activate the integrity mapping",
                                       "integrity");
        return 0;
}

/* Compares the kernel's table (dm-integrity.rst) with what was asked for. */
static int verify(const Device *data, const Device *tags, bool discard, Failure *f) {
        char device[24], meta_device[48], tag_size[24], block_size[32];
        const Table wanted = {
                .type = "integrity",
                .length = mapped_size(data) / 512,
                .key_size = KEY_SIZE,
                .positional = { device, "0", tag_size, "D" }, /* D: direct, without a journal */
                .options = { meta_device, block_size, "internal_hash:" HASH ":" TABLE_KEY,
                             discard ? "allow_discards" : NULL },
                .insignificant = { "journal_sectors:", "interleave_sectors:", "buffer_sectors:",
                                   "fix_padding", "fix_hmac" },
        };

        (void) snprintf(device, sizeof(device), "%u:%u", major(data->number), minor(data->number));
        (void) snprintf(meta_device, sizeof(meta_device), "meta_device:%u:%u", major(tags->number),
                        minor(tags->number));
        (void) snprintf(tag_size, sizeof(tag_size), "%u", TAG_SIZE);
        (void) snprintf(block_size, sizeof(block_size), "block_size:%u", SECTOR_SIZE);
        return mapping_verify(MAPPING, &wanted, f);
}

static int open_layers(const Device *disk, bool discard, Failure *f, Device *ret) {
        _cleanup_(device_done) Device data = {}, tags = {}, mapping = {};
        _cleanup_key_ SafeMemory *key = NULL;
        int r;

        r = cryptsetup_make_key(disk, KEY_SIZE, f, &key);
        if (r < 0)
                return r;
        r = open_part(disk, f, &data);
        if (r < 0)
                return r;
        r = tags_open(METADATA_SIZE + mapped_size(&data) / SECTOR_SIZE * TAG_SIZE, f, &tags);
        if (r < 0)
                return r;
        r = activate(&data, &tags, discard, key, f);
        if (r < 0)
                return r;
        r = verify(&data, &tags, discard, f);
        if (r < 0)
                return r;
        mapping.size = mapped_size(&data);
        mapping.node = strdup(NODE);
        if (!mapping.node || mapping_get_number(MAPPING, &mapping.number) < 0)
                return failure_set(f, REASON_INTERNAL, 0, "Failed to find the integrity mapping");
        *ret = TAKE_DEVICE(mapping);
        return 0;
}

int integrity_open(const Device *disk, bool discard, Failure *f, Device *ret) {
        int r;

        r = open_layers(disk, discard, f, ret);
        if (r < 0)
                (void) integrity_close(disk->number);
        return r;
}

/* The kernel counts them since the mapping was made. */
void integrity_check(void) {
        _cleanup_free_ char *text = NULL;
        uint64_t n = 0;

        if (mapping_get_count(MAPPING, &n) < 0 || n == 0)
                return;
        if (access(MISMATCHES_PATH, F_OK) < 0)
                log_error("A sector of the scratch disk is not what was written: the host, or its disk, has "
                          "changed it. Reading it was an I/O error.");
        if (asprintf(&text, "%" PRIu64 "\n", n) >= 0)
                (void) file_write_atomic(MISMATCHES_PATH, text, 0644);
}

/* Goes on after an error, and returns the first. */
int integrity_close(dev_t disk) {
        dev_t part = 0;
        int results[5], r = 0;

        (void) mapping_get_number(PART, &part);
        results[0] = mapping_close(MAPPING);
        results[1] = disk ? mapping_close_all(TEMPORARY, disk) : 0;
        results[2] = part ? mapping_close_all(TEMPORARY, part) : 0;
        results[3] = mapping_close(PART);
        results[4] = tags_close();
        for (size_t i = 0; i < ELEMENTSOF(results); i++)
                r = r < 0 ? r : results[i];
        return r;
}

int integrity_release(void) {
        int r = mapping_release(MAPPING), q = mapping_release(PART);

        return r < 0 ? r : q;
}
