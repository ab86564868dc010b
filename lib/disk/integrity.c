/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "integrity.h"

#include <inttypes.h>
#include <sys/sysmacros.h>

#include "entropy.h"
#include "fileio.h"
#include "log.h"
#include "mapping.h"
#include "parse.h"
#include "status.h"
#include "tags.h"

#define MAPPING "ccvm-scratch_dif"

/* dm-integrity takes all of the device that it is given: where there is no room for the tags of all of the
 * disk, this is its beginning. */
#define PART MAPPING "_part"

#define KEY_SIZE 32      /* bytes, as many as the hash has */
#define TAG_SIZE 16U     /* bytes of it: who guesses one has a chance of 2^-128, and an I/O error else */
#define SECTOR_SIZE 4096 /* bytes that have a tag */

/* The superblock, the journal, which is there and not used, and what rounding costs. */
#define METADATA_SIZE MIB
#define JOURNAL_SECTORS 128 /* of 512 bytes */

uint64_t integrity_size(uint64_t room) {
        if (room < 2 * METADATA_SIZE)
                return 0;
        return (room - METADATA_SIZE) / TAG_SIZE * SECTOR_SIZE / MIB * MIB;
}

static int map(const char *name, const char *type, uint64_t size, const char *params, Failure *f,
               Device *ret) {
        const Target target = { .length = size / 512, .type = type, .params = params };
        _cleanup_(device_done) Device d = { .size = size };
        int r;

        if (asprintf(&d.node, "/dev/mapper/%s", name) < 0) {
                d.node = NULL;
                return failure_set(f, REASON_INTERNAL, ENOMEM, "Failed to make the mapping '%s'", name);
        }
        r = mapping_create(name, &target, &d.number);
        if (r < 0) {
                (void) failure_set(f, REASON_ACTIVATE, r, "Failed to make the mapping '%s'", name);
                mapping_explain(type, f);
                return r;
        }
        *ret = TAKE_DEVICE(d);
        return 0;
}

/* Gives the part of the disk whose tags have room in the RAM: a mapping of its beginning, or all of it. */
static int open_part(const Device *disk, Failure *f, Device *ret) {
        _cleanup_free_ char *meminfo = NULL;
        char params[32];
        uint64_t size;
        int r;

        r = file_read("/proc/meminfo", 64 * KIB, &meminfo);
        if (r < 0)
                return failure_set(f, REASON_INTERNAL, r, "Failed to find out how much RAM there is");
        size = integrity_size(tags_room(meminfo));
        if (size == 0)
                return failure_set(f, REASON_FORMAT, ENOMEM, "Failed to find RAM for tags");
        if (size >= disk->size) {
                *ret = (Device) { .number = disk->number, .size = disk->size };
                return 0;
        }
        failure_note(f,
                     "Of the %" PRIu64 " MiB of the disk %" PRIu64
                     " MiB are used, as the RAM has no room for the tags of more",
                     disk->size / MIB, size / MIB);
        (void) snprintf(params, sizeof(params), "%u:%u 0", major(disk->number), minor(disk->number));
        return map(PART, "linear", size, params, f, ret);
}

static void format_hex(const Key *key, char *hex) {
        for (size_t i = 0; i < KEY_SIZE; i++)
                sprintf(hex + 2 * i, "%02x", key->bytes[i]);
}

/* Makes the mapping (dm-integrity.rst). The kernel formats the tags, as their superblock is zero. Direct
 * writes (D), without the journal: that keeps data and tags together over a crash, which neither outlives.
 * What was never written has the constant tag of a discarded sector (tags.h). Since Linux 7.2 that tag can
 * be a keyed checksum (allow_discards_keyed), as who can write to the tags can forge the constant; these
 * are in the guest's RAM. */
static int map_integrity(const Device *data, const Device *tags, bool discard, const Key *key, Failure *f,
                         Device *ret) {
        char hex[2 * KEY_SIZE + 1], params[256];
        int r;

        format_hex(key, hex);
        (void) snprintf(params, sizeof(params),
                        "%u:%u 0 %u D %i meta_device:%u:%u block_size:%u journal_sectors:%u fix_hmac "
                        "internal_hash:hmac(sha256):%s%s",
                        major(data->number), minor(data->number), TAG_SIZE, discard ? 6 : 5,
                        major(tags->number), minor(tags->number), SECTOR_SIZE, JOURNAL_SECTORS, hex,
                        discard ? " allow_discards" : "");
        r = map(MAPPING, "integrity", data->size, params, f, ret);
        explicit_bzero(hex, sizeof(hex));
        explicit_bzero(params, sizeof(params));
        return r;
}

static int open_layers(const Device *disk, bool discard, Failure *f, Device *ret) {
        _cleanup_(device_done) Device data = {}, tags = {};
        _cleanup_key_ Key key = {};
        int r;

        r = key_make(disk, KEY_SIZE, f, &key);
        if (r < 0)
                return r;
        r = open_part(disk, f, &data);
        if (r < 0)
                return r;
        data.size -= data.size % SECTOR_SIZE; /* the kernel leaves over what is no whole sector */
        r = tags_open(METADATA_SIZE + data.size / SECTOR_SIZE * TAG_SIZE, f, &tags);
        if (r < 0)
                return r;
        return map_integrity(&data, &tags, discard, &key, f, ret);
}

int integrity_open(const Device *disk, bool discard, Failure *f, Device *ret) {
        int r;

        r = open_layers(disk, discard, f, ret);
        if (r < 0)
                (void) integrity_close();
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

int integrity_close(void) {
        int r = mapping_close(MAPPING), p = mapping_close(PART), t = tags_close();

        return r < 0 ? r : p < 0 ? p : t;
}

int integrity_release(void) {
        int r = mapping_release(MAPPING), q = mapping_release(PART);

        return r < 0 ? r : q;
}
