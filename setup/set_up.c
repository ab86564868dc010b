/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "set_up.h"

#include "announce.h"
#include "clock.h"
#include "device.h"
#include "discard.h"
#include "kernel.h"
#include "kmsg.h"
#include "log.h"
#include "record.h"
#include "trim.h"

static int make_and_mount(const Options *o, Status *s, Stopwatch *watch) {
        int r;

        /* mkfs.btrfs refuses a device to which the source of any mount leads, as that of an old pool
         * does. */
        (void) unlink(POOL_SOURCE);
        r = filesystem_make(o->file_system, LUKS_NODE, s);
        s->timings_usec[TIMING_MKFS] = stopwatch_lap(watch);
        if (r < 0)
                return r;
        r = pool_mount_disk(o->file_system, o->luks.discard, &o->layout, s);
        s->timings_usec[TIMING_MOUNT] = stopwatch_lap(watch);
        return r;
}

static int try_set_up(const Options *o, Status *s) {
        _cleanup_(device_done) Device device = {};
        Stopwatch watch = stopwatch_start();
        bool discarded;
        int r;

        r = device_find(o->serial, filesystem_size_min(o->file_system) + LUKS_OVERHEAD, s, &device);
        s->timings_usec[TIMING_WAIT] = stopwatch_lap(&watch);
        if (r < 0)
                return r;
        device_limit_queue(&device);
        discarded = !o->luks.discard || discard_disk(&device);
        s->timings_usec[TIMING_FORMAT] = stopwatch_lap(&watch);

        /* A pool that the watch for clones knows nothing of is better than none. */
        r = kmsg_note_key();
        if (r < 0)
                log_warning_errno(r, "Failed to say in the kernel's log that there is a new key");
        r = luks_open(&device, &o->luks, s);
        if (r < 0)
                return r;

        (void) stopwatch_lap(&watch);
        r = make_and_mount(o, s, &watch);
        if (r < 0) {
                (void) luks_close(device.number);
                return r;
        }
        /* What is written and freed before the first look leaves as much free as there was. */
        if (discarded && !filesystem_trims(o->file_system))
                trim_note_all();
        return 0;
}

int set_up(const Options *o, Status *s) {
        Stopwatch watch = stopwatch_start();
        int r;

        r = try_set_up(o, s);
        if (r < 0)
                kernel_explain(filesystem_name(o->file_system), o->luks.integrity, s);
        s->timings_usec[TIMING_TOTAL] = stopwatch_lap(&watch);
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

int take_down(const Options *o) {
        dev_t disk = 0;
        int r;

        (void) device_find_number(o->serial, &disk);
        r = luks_close(disk);
        if (r < 0)
                return log_error_errno(r, "Failed to remove the mapping '%s'", LUKS_MAPPING);
        return 0;
}
