/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* encrypt, of ccvm-scratch-luks.service: the encrypted pool, for the first time in this boot.
 *
 * When: in the initrd, after the disk has appeared and before initrd-fs.target; in the real root before
 * local-fs.target where there is no initrd, or when a disk is hot-plugged. It must never run a second time
 * over a live pool, or leave anything behind after a failure. */

#include "encrypt.h"

#include "announce.h"
#include "clock.h"
#include "device.h"
#include "discard.h"
#include "integrity.h"
#include "kmsg.h"
#include "log.h"
#include "mounts.h"
#include "record.h"
#include "verbs.h"

/* Fills the record with what the kernel has. */
static int fill(const LuksFacts *facts, const LuksOptions *o, Status *s) {
        s->mapper = strdup(LUKS_NODE);
        s->uuid = strdup(facts->uuid);
        s->cipher = strdup(facts->cipher);
        s->header = strdup(o->header_in_ram ? "ram" : "disk");
        s->integrity = strdup(o->integrity ? INTEGRITY_NAME : "no");
        if (!s->mapper || !s->uuid || !s->cipher || !s->header || !s->integrity)
                return status_fail(s, REASON_INTERNAL, ENOMEM, "Failed to note the mapping");
        s->key_size = facts->key_size;
        s->sector_size = facts->sector_size;
        s->size_bytes = facts->size;
        return 0;
}

static int make_and_mount(const Options *o, Status *s, uint64_t *watch) {
        int r;

        /* mkfs.btrfs refuses a device to which the source of any mount leads, as that of an old pool
         * does. */
        (void) unlink(POOL_SOURCE);
        r = filesystem_make(o->file_system, LUKS_NODE, &s->failure);
        s->timings_usec[TIMING_MKFS] = lap_usec(watch);
        if (r < 0)
                return r;
        r = pool_mount_disk(o->file_system, o->luks.discard, &o->layout, s);
        s->timings_usec[TIMING_MOUNT] = lap_usec(watch);
        return r;
}

static int try_to_encrypt(const Options *o, Status *s) {
        _cleanup_(device_done) Device device = {};
        uint64_t watch = now_usec();
        LuksFacts facts;
        int r;

        r = device_find(o->serial, filesystem_size_min(o->file_system) + LUKS_OVERHEAD, &s->failure,
                        &device);
        s->device = device.node ? strdup(device.node) : NULL;
        s->timings_usec[TIMING_WAIT] = lap_usec(&watch);
        if (r < 0)
                return r;
        device_limit_queue(&device);
        if (o->luks.discard)
                (void) discard_disk(&device);
        s->timings_usec[TIMING_FORMAT] = lap_usec(&watch);

        /* A pool that the watch for clones knows nothing of is better than none. */
        r = kmsg_note_key();
        if (r < 0)
                log_warning_errno(r, "Failed to say in the kernel's log that there is a new key");
        r = luks_open(&device, &o->luks, &s->failure, &facts);
        s->timings_usec[TIMING_FORMAT] += facts.format_usec;
        s->timings_usec[TIMING_ACTIVATE] = facts.activate_usec;
        if (r < 0)
                return r;

        (void) lap_usec(&watch);
        r = fill(&facts, &o->luks, s);
        if (r >= 0)
                r = make_and_mount(o, s, &watch);
        if (r < 0)
                (void) luks_close();
        return r;
}

int encrypt_disk(const Options *o, Status *s) {
        uint64_t watch = now_usec();
        int r;

        r = try_to_encrypt(o, s);
        s->timings_usec[TIMING_TOTAL] = lap_usec(&watch);
        if (r < 0) {
                log_error("%s: %s", reason_to_string(s->reason), s->detail ?: "out of memory");
                (void) record_write(s);
                return r;
        }
        s->state = STATE_ENCRYPTED;
        /* The pool is good without its status; a second one in RAM over it would not be. */
        (void) announce_outcome(s);
        return 0;
}

int close_disk(void) {
        int r;

        r = luks_close();
        if (r < 0)
                return log_error_errno(r, "Failed to remove the mapping '%s'", LUKS_MAPPING);
        return 0;
}

int verb_encrypt(const Options *o) {
        _cleanup_(status_done) Status s = { .state = STATE_NONE };
        int r;

        r = record_claim(o->text);
        if (r == 0)
                return log_error_errno(-EEXIST,
                                       "The pool was set up in this boot already; refusing to do it again");
        if (r < 0)
                return r;
        r = encrypt_disk(o, &s);
        if (r < 0)
                return r;
        /* A disk that is hot-plugged comes when all else is mounted. */
        if (o->bind) {
                mounts_bind(&o->layout, "");
                (void) announce_missing(&s);
        }
        return 0;
}
