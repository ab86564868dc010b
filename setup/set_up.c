/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "set_up.h"

#include "announce.h"
#include "clock.h"
#include "device.h"
#include "discard.h"
#include "integrity.h"
#include "kmsg.h"
#include "log.h"
#include "trim.h"

static int fill_disk(const LuksFacts *facts, const LuksOptions *o, Status *s) {
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
        s->keyslots = 0;
        return 0;
}

/* A failure is noted in s and leaves nothing behind. */
static int set_up(const Options *o, Status *s) {
        _cleanup_(device_done) Device device = {};
        Stopwatch watch = stopwatch_start();
        LuksFacts facts;
        bool discarded;
        int r;

        r = device_find(o->serial, filesystem_size_min(o->file_system) + LUKS_OVERHEAD, &s->failure,
                        &device);
        s->device = device.node ? strdup(device.node) : NULL;
        s->timings_usec[TIMING_WAIT] = stopwatch_lap(&watch);
        if (r < 0)
                return r;
        device_limit_queue(&device);
        discarded = !o->luks.discard || discard_disk(&device);
        s->timings_usec[TIMING_FORMAT] = stopwatch_lap(&watch);

        /* Whoever watches for clones may not be there, and a pool without it is better than none. */
        r = kmsg_note_key();
        if (r < 0)
                (void) log_warning_errno(r, "Failed to say in the kernel's log that there is a new key");
        r = luks_open(&device, &o->luks, &s->failure, &facts);
        s->timings_usec[TIMING_FORMAT] += facts.format_usec;
        s->timings_usec[TIMING_ACTIVATE] = facts.activate_usec;
        if (r < 0)
                return r;

        (void) stopwatch_lap(&watch);
        r = fill_disk(&facts, &o->luks, s);
        if (r >= 0)
                r = filesystem_make(o->file_system, LUKS_NODE, &s->failure);
        s->timings_usec[TIMING_MKFS] = stopwatch_lap(&watch);
        if (r >= 0)
                r = pool_mount_disk(o->file_system, LUKS_NODE, o->luks.discard, &o->layout, s);
        s->timings_usec[TIMING_MOUNT] = stopwatch_lap(&watch);
        if (r < 0)
                (void) luks_close();
        /* What is written and freed before the first look leaves as much free as there was. */
        else if (discarded && !filesystem_trims(o->file_system))
                trim_note_all();
        return r;
}

/* For the fallback, which is still to follow. */
int set_up_failed(const Status *s, int r) {
        log_error("%s: %s", reason_to_string(s->reason), s->detail ?: "out of memory");
        (void) record_write(s);
        return r;
}

int set_up_pool(const Options *o, Status *s) {
        Stopwatch watch = stopwatch_start();
        int r = set_up(o, s);

        s->timings_usec[TIMING_TOTAL] = stopwatch_lap(&watch);
        if (r < 0)
                return set_up_failed(s, r);
        s->state = STATE_ENCRYPTED;
        /* The pool is good without its status; a second one in RAM over it would not be. */
        (void) announce_outcome(s);
        return 0;
}

int take_down_pool(const Options *o) {
        int r;

        r = luks_close();
        return r < 0 ? log_error_errno(r, "Failed to remove the mapping '%s'", LUKS_MAPPING) : 0;
}
