/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The verb watch, of ccvm-scratch-clone.service: waits until the virtual machine goes on from a snapshot, as
 * often as it does, and tells, renews or wipes.
 *
 * When: in the running system, from the time that the pool is there. Returns after an error only. Never:
 * leaves, with OnClone=renew or wipe, a key that others may have. */

#include "verbs.h"

#include "announce.h"
#include "clock.h"
#include "fileio.h"
#include "kmsg.h"
#include "lock.h"
#include "log.h"
#include "manager.h"
#include "wipe.h"

/* Longer than a renewal takes at most. */
#define CLONE_PATIENCE (60 * USEC_PER_SEC)

/* The key may be others' too. */
static int tell_of_clone(Status *s) {
        s->reason = REASON_CLONED;
        free(s->detail);
        s->detail =
                strdup("The virtual machine goes on from a snapshot, from which others with the same key "
                       "may go on too");
        return announce_outcome(s);
}

static bool has_shared_key(void) {
        _cleanup_(status_done) Status s = {};

        return record_read(&s) >= 0 && s.state == STATE_ENCRYPTED && s.reason == REASON_CLONED;
}

/* The first may be one that somebody else has begun, before the clone. */
#define RENEWALS 2

/* Whoever uses the pool does not keep it. Returns whether the key is gone. */
static bool renew_clone(void) {
        for (unsigned i = 0; i < RENEWALS && has_shared_key(); i++) {
                int r = file_write_atomic(FORCE_PATH, "", 0600);
                if (r >= 0)
                        r = manager_run("ccvm-scratch-renew.service");
                (void) unlink(FORCE_PATH);
                if (r < 0) {
                        (void) log_error_errno(r, "Failed to start ccvm-scratch-renew.service");
                        break;
                }
        }
        return !has_shared_key();
}

/* Leaves none with a key that others may have. */
static int end_clone(const Options *o) {
        int r;

        if (o->on_clone == ON_CLONE_WIPE)
                return wipe_pool(
                        "The virtual machine goes on from a snapshot, and OnClone=wipe destroyed the key");
        if (!o->mode_fail)
                return wipe_pool("The virtual machine goes on from a snapshot, and as the pool could not be "
                                 "renewed the key was destroyed");
        (void) announce_power_off(reason_to_string(REASON_CLONED), "the pool could not be renewed");
        r = manager_power_off();
        return r < 0 ? log_error_errno(r, "Failed to power off") : 0;
}

static int handle_clone(const Options *o) {
        _cleanup_(status_done) Status s = {};
        int r;

        r = record_load_encrypted(&s);
        if (r <= 0)
                return r;
        r = tell_of_clone(&s);
        if (o->on_clone == ON_CLONE_WARN)
                return r;
        if (o->on_clone == ON_CLONE_RENEW) {
                /* It takes the lock itself. */
                lock_release();
                if (renew_clone())
                        return r;
                (void) lock_take(CLONE_PATIENCE);
        }
        return end_clone(o);
}

static int look_for_clone(const Options *o, int log) {
        bool cloned = false;
        int r;

        r = kmsg_read(log, &cloned);
        if (r < 0 || !cloned)
                return r;
        /* The key of a renewal that is under way may be younger than the clone; and it writes the status. */
        (void) lock_take(CLONE_PATIENCE);
        r = kmsg_read(log, &cloned);
        if (r >= 0 && cloned)
                (void) handle_clone(o);
        lock_release();
        return r;
}

/* The service manager starts it when the pool is there. */
int verb_watch(const Options *o) {
        _cleanup_close_ int log = kmsg_open();
        int r = log;

        if (o->on_clone == ON_CLONE_RENEW && !filesystem_has_program(o->file_system))
                log_warning("OnClone=renew: there is no mkfs.%s in $PATH. %s instead.",
                            filesystem_name(o->file_system),
                            o->mode_fail ? "A clone will be powered off"
                                         : "The key of a clone will be wiped");
        while (r >= 0) {
                r = look_for_clone(o, log);
                if (r >= 0)
                        r = kmsg_wait(log);
        }
        return log_error_errno(r, "Failed to read '/dev/kmsg'");
}
