/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "life.h"

#include "boot.h"
#include "clock.h"
#include "clone.h"
#include "fileio.h"
#include "integrity.h"
#include "lock.h"
#include "log.h"
#include "manager.h"
#include "outcome.h"
#include "parse.h"
#include "renew.h"
#include "trim.h"
#include "wipe.h"

/* Longer than a renewal takes at most. */
#define CLONE_PATIENCE (60 * USEC_PER_SEC)

/* What was left to do by a wipe that failed halfway is done by the next one. */
static bool can_be_wiped(const Status *s) {
        return s->state == STATE_ENCRYPTED || (s->reason == REASON_WIPED && s->mounts);
}

static int wipe(const char *detail) {
        _cleanup_(status_done) Status before = {}, s = { .state = STATE_NONE };
        int r, q;

        r = status_read(&before);
        if (r == -ENOENT || (r >= 0 && !can_be_wiped(&before))) {
                log_error("There is no encrypted scratch disk to wipe: the state is %s.",
                          state_to_string(before.state));
                return -ENOENT;
        }
        if (r < 0)
                return log_error_errno(r, "Failed to read '%s'", STATUS_PATH);

        r = wipe_key(&s);
        if (r < 0)
                return log_error_errno(r, "%s", s.detail ?: "Out of memory");
        s.reason = REASON_WIPED;
        q = wipe_mounts(&before, &s);
        if (r > 0 || q < 0) {
                log_error("%s", s.detail ?: "Out of memory");
                s.mounts = TAKE_PTR(before.mounts);
                r = -EBUSY;
        } else
                s.detail = strdup(detail);
        q = outcome_announce(&s);
        return r < 0 ? r : q;
}

int life_wipe(const Options *o) {
        return wipe("The key was destroyed by ccvm-scratch wipe");
}

int life_health(const Options *o) {
        _cleanup_(status_done) Status s = {};
        Health h;
        int r;

        r = outcome_load(&s);
        if (r < 0)
                return r;
        integrity_check();
        h = health_read("", &s);
        r = outcome_note_health(&s, h);
        if (h == HEALTH_OK)
                (void) trim_some(&s);
        return r;
}

int life_renew(const Options *o) {
        _cleanup_(status_done) Status before = {}, s = { .state = STATE_NONE };
        bool force = unlink(FORCE_PATH) >= 0;
        int r;

        r = outcome_load(&before);
        if (r >= 0)
                r = renew_allow(o, &before, force);
        if (r >= 0)
                r = renew_begin(o, &before);
        if (r >= 0)
                r = boot_set_up(o, &s);
        if (r < 0)
                return r; /* life_recover() is next */
        renew_mounts(o);
        (void) outcome_check_mounts(&s);
        return 0;
}

int life_recover(const Options *o) {
        return renew_recover(o);
}

/* The key may be others' too. */
static int tell_of_clone(Status *s) {
        s->reason = REASON_CLONED;
        free(s->detail);
        s->detail =
                strdup("The virtual machine goes on from a snapshot, from which others with the same key "
                       "may go on too");
        return outcome_announce(s);
}

static bool has_shared_key(void) {
        _cleanup_(status_done) Status s = {};

        return status_read(&s) >= 0 && s.state == STATE_ENCRYPTED && s.reason == REASON_CLONED;
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
                return wipe(
                        "The virtual machine goes on from a snapshot, and OnClone=wipe destroyed the key");
        if (!o->mode_fail)
                return wipe("The virtual machine goes on from a snapshot, and as the pool could not be "
                            "renewed the key was destroyed");
        (void) boot_power_off(reason_to_string(REASON_CLONED), "the pool could not be renewed");
        r = manager_power_off();
        return r < 0 ? log_error_errno(r, "Failed to power off") : 0;
}

static int handle_clone(const Options *o) {
        _cleanup_(status_done) Status s = {};
        int r;

        r = outcome_load_encrypted(&s);
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

        r = clone_read(log, &cloned);
        if (r < 0 || !cloned)
                return r;
        /* The key of a renewal that is under way may be younger than the clone; and it writes the status. */
        (void) lock_take(CLONE_PATIENCE);
        r = clone_read(log, &cloned);
        if (r >= 0 && cloned)
                (void) handle_clone(o);
        lock_release();
        return r;
}

/* The service manager starts it when the pool is there. */
int life_watch(const Options *o) {
        _cleanup_close_ int log = clone_open();
        int r = log;

        if (o->on_clone == ON_CLONE_RENEW && !filesystem_has_program(o->file_system))
                log_warning("OnClone=renew: there is no mkfs.%s in $PATH. %s instead.",
                            filesystem_name(o->file_system),
                            o->mode_fail ? "A clone will be powered off"
                                         : "The key of a clone will be wiped");
        while (r >= 0) {
                r = look_for_clone(o, log);
                if (r >= 0)
                        r = clone_wait(log);
        }
        return log_error_errno(r, "Failed to read '/dev/kmsg'");
}
