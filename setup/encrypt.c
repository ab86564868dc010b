/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* encrypt, of ccvm-scratch-luks.service: the encrypted pool, for the first time in this boot.
 *
 * When: in the initrd, after the disk has appeared and before initrd-fs.target; in the real root before
 * local-fs.target where there is no initrd, or when a disk is hot-plugged. It must never run a second time
 * over a live pool, or leave anything behind after a failure. */

#include "verbs.h"

#include "announce.h"
#include "clock.h"
#include "device.h"
#include "discard.h"
#include "filesystem.h"
#include "integrity.h"
#include "kmsg.h"
#include "log.h"
#include "luks.h"
#include "mounts.h"
#include "pool.h"
#include "record.h"

static int make_and_mount(const Config *c, Status *s, uint64_t *watch) {
        int r;

        /* mkfs.btrfs refuses a device to which the source of any mount leads, as that of an old pool
         * does. */
        (void) unlink(POOL_SOURCE);
        r = filesystem_make(filesystem_find(c->values[OPTION_FILE_SYSTEM].text), LUKS_NODE, &s->failure);
        s->timings_usec[TIMING_MKFS] = lap_usec(watch);
        if (r < 0)
                return r;
        r = pool_mount_disk(c, s);
        s->timings_usec[TIMING_MOUNT] = lap_usec(watch);
        return r;
}

static int try_to_encrypt(const Config *c, Status *s) {
        _cleanup_(device_done) Device device = {};
        uint64_t watch = now_usec();
        int r;

        r = device_find(c->values[OPTION_SERIAL].text,
                        filesystem_find(c->values[OPTION_FILE_SYSTEM].text)->size_min + LUKS_OVERHEAD,
                        &s->failure, &device);
        s->device = device.node ? strdup(device.node) : NULL;
        s->timings_usec[TIMING_WAIT] = lap_usec(&watch);
        if (r < 0)
                return r;
        device_limit_queue(&device);
        if (c->discard)
                discard_disk(&device);
        s->timings_usec[TIMING_FORMAT] = lap_usec(&watch);

        /* A pool that the watch for clones knows nothing of is better than none. */
        r = kmsg_note_key();
        if (r < 0)
                log_warning_errno(r, "Failed to say in the kernel's log that there is a new key");
        r = luks_open(&device, c, s);
        if (r < 0)
                return r;

        (void) lap_usec(&watch);
        r = make_and_mount(c, s, &watch);
        if (r < 0)
                (void) luks_close();
        return r;
}

int encrypt_disk(const Config *c, Status *s) {
        uint64_t watch = now_usec();
        int r;

        r = try_to_encrypt(c, s);
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

int verb_encrypt(const Config *c) {
        _cleanup_(status_done) Status s = { .state = STATE_NONE };
        int r;

        r = record_claim(c->text);
        if (r == 0)
                return log_error_errno(-EEXIST,
                                       "The pool was set up in this boot already; refusing to do it again");
        if (r < 0)
                return r;
        r = encrypt_disk(c, &s);
        if (r < 0)
                return r;
        /* A disk that is hot-plugged comes when all else is mounted. */
        if (c->hotplug) {
                mounts_bind(c, "");
                (void) announce_missing(&s);
        }
        return 0;
}
