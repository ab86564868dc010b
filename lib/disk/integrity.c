/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "integrity.h"

#include <inttypes.h>

#include "cryptsetup.h"
#include "fileio.h"
#include "log.h"
#include "mapping.h"
#include "parse.h"
#include "table.h"
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

/* dm-integrity leaves a rest over that is no sector. */
static uint64_t mapped_size(const Device *disk) {
        return disk->size / SECTOR_SIZE * SECTOR_SIZE;
}

uint64_t integrity_size(uint64_t room) {
        return room < 2 * METADATA_SIZE ? 0 : (room - METADATA_SIZE) / TAG_SIZE * SECTOR_SIZE / MIB * MIB;
}

/* As much of the disk as has tags with room in the RAM. A copy of disk if that is all. */
static int limit(const Device *disk, Status *s, Device *ret) {
        _cleanup_(device_done) Device part = { .number = disk->number, .size = disk->size };
        uint64_t room, size;
        int r;

        r = tags_read_room(&room);
        if (r < 0)
                return status_fail(s, REASON_INTERNAL, r, "Failed to find out how much RAM there is");
        size = integrity_size(room);
        if (size == 0)
                return status_fail(s, REASON_FORMAT, ENOMEM, "Failed to find RAM for tags");
        part.node = strdup(size < disk->size ? "/dev/mapper/" PART : disk->node);
        if (!part.node)
                return status_fail(s, REASON_INTERNAL, ENOMEM, "Failed to limit the mapping");
        if (size < disk->size) {
                part.size = size;
                r = mapping_create(PART, disk->number, size / 512, &part.number);
                if (r < 0)
                        return status_fail(s, REASON_ACTIVATE, r,
                                           "Failed to make a mapping of a part of the disk");
                status_note(s,
                            "Of the %" PRIu64 " MiB of the disk %" PRIu64
                            " MiB are used, as the RAM has no room for the tags of more",
                            disk->size / MIB, size / MIB);
        }
        *ret = part;
        part.node = NULL;
        return 0;
}

/* Without a journal: it keeps data and tags together over a crash, which neither outlives. */
static int make_mapping(const Device *disk, const Device *tags, bool discard, const SafeMemory *key,
                        Status *s) {
        _cleanup_crypt_ struct crypt_device *cd = NULL;
        const struct crypt_params_integrity params = {
                .journal_size = JOURNAL_SIZE,
                .tag_size = TAG_SIZE,
                .sector_size = SECTOR_SIZE,
                .integrity = HASH,
                .integrity_key_size = KEY_SIZE,
        };
        uint32_t flags = CRYPT_ACTIVATE_PRIVATE | CRYPT_ACTIVATE_NO_JOURNAL |
                         (discard ? CRYPT_ACTIVATE_ALLOW_DISCARDS : 0);
        int r;

        r = crypt_init_data_device(&cd, tags->node, disk->node);
        if (r >= 0) {
                /* What was never written has the constant tag of a discarded sector (tags.c). Since Linux
                 * 7.2 that tag can be a keyed checksum, as whoever can write to the tags can forge the
                 * constant; these are in the guest's RAM. */
                crypt_set_compatibility(cd, CRYPT_COMPAT_LEGACY_INTEGRITY_DISCARD);
                r = crypt_format(cd, CRYPT_INTEGRITY, NULL, NULL, NULL, key, KEY_SIZE, (void *) &params);
        }
        if (r < 0)
                return cryptsetup_fail(s, REASON_FORMAT, r, "Failed to format the tags");
        r = crypt_activate_by_volume_key(cd, MAPPING, key, KEY_SIZE, flags);
        return r < 0 ? cryptsetup_fail(s, REASON_ACTIVATE, r, "Failed to activate the integrity mapping")
                     : 0;
}

/* Compares the kernel's table with what was asked for. */
static int verify(const Device *disk, const Device *tags, bool discard, Status *s, Device *ret) {
        const IntegrityTable wanted = {
                .length = mapped_size(disk) / 512,
                .device = disk->number,
                .tag_size = TAG_SIZE,
                .mode = 'D',
                .meta_device = tags->number,
                .sector_size = SECTOR_SIZE,
                .hash = HASH,
                .key_size = KEY_SIZE * 8,
                .allow_discards = discard,
        };
        const char *difference;
        IntegrityTable t;
        int r;

        r = table_read_integrity(MAPPING, &t);
        if (r < 0)
                return status_fail(s, REASON_VERIFY, r, "There is no integrity target of the expected form");
        difference = table_integrity_difference(&t, &wanted);
        if (difference)
                return status_fail(s, REASON_VERIFY, 0,
                                   "The integrity target has another %s than was asked for", difference);
        ret->number = t.number;
        ret->size = t.length * 512;
        ret->node = strdup(NODE);
        return ret->node ? 0 : status_fail(s, REASON_INTERNAL, ENOMEM, "Failed to note the mapping");
}

static int open_on(const Device *data, bool discard, const SafeMemory *key, Status *s, Device *ret) {
        _cleanup_(device_done) Device tags = {};
        int r;

        r = tags_make(METADATA_SIZE + mapped_size(data) / SECTOR_SIZE * TAG_SIZE, s, &tags);
        if (r >= 0)
                r = make_mapping(data, &tags, discard, key, s);
        return r < 0 ? r : verify(data, &tags, discard, s, ret);
}

int integrity_open(const Device *disk, bool discard, Status *s, Device *ret) {
        _cleanup_(device_done) Device data = {};
        _cleanup_key_ SafeMemory *key = NULL;
        int r;

        r = cryptsetup_make_key(disk, KEY_SIZE, &key);
        if (r < 0)
                return status_fail(s, REASON_RNG, r, "Failed to get an integrity key from the kernel");
        r = limit(disk, s, &data);
        if (r >= 0)
                r = open_on(&data, discard, key, s, ret);
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

/* libcryptsetup has one with a random name while it formats. */
static int close_temporary(dev_t below) {
        return below ? mapping_take_down_all("temporary-cryptsetup-", below) : 0;
}

int integrity_close(dev_t disk) {
        dev_t part = 0;
        int results[5], r = 0;

        (void) mapping_get_number(PART, &part);
        results[0] = mapping_take_down(MAPPING);
        results[1] = close_temporary(disk);
        results[2] = close_temporary(part);
        results[3] = mapping_take_down(PART);
        results[4] = tags_remove();
        for (size_t i = 0; i < ELEMENTSOF(results); i++)
                r = r < 0 ? r : results[i];
        return r;
}

/* The device in RAM goes with the RAM. */
int integrity_remove_later(void) {
        int r = mapping_remove(MAPPING), q = mapping_remove(PART);

        return r < 0 ? r : q;
}
