/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The verb wipe: destroys the key now.
 *
 * When: in the running system, when ccvm-scratch wipe starts it; a clone (watch.c) and a renewal (renew.c)
 * destroy the key likewise. Never: starts over; each step can be done again after any failure. */

#include "verbs.h"

#include <signal.h>

#include "announce.h"
#include "clock.h"
#include "integrity.h"
#include "log.h"
#include "luks.h"
#include "mapping.h"
#include "mounted.h"
#include "mounts.h"
#include "wipe.h"

#define WAIT_STEP 2U     /* seconds, until it is said what is waited for */
#define WAIT_TIMEOUT 10U /* seconds */

static int suspend_in_time(void) {
        for (unsigned waited = 0; waited < WAIT_TIMEOUT; waited += WAIT_STEP) {
                int r;

                interrupt_after(WAIT_STEP);
                r = mapping_suspend(LUKS_MAPPING);
                interrupt_after(0);
                if (r != -EINTR)
                        return r;
                if (waited == 0)
                        log_info("Waiting for the disk to finish what was sent to it.");
        }
        return -ETIMEDOUT;
}

/* The key that makes the tags, and these. */
static int wipe_integrity(Status *s) {
        int r = integrity_close();

        if (r >= 0)
                return 0;
        (void) status_fail(s, REASON_INTERNAL, r, "The key is destroyed, and the tags are not all removed");
        return 1;
}

/* Nothing ends the process in between but SIGKILL: whoever uses the mapping would wait for good. */
static int fail_in_time(void) {
        sigset_t all, before;
        int r;

        (void) sigfillset(&all);
        (void) sigdelset(&all, SIGALRM);
        (void) sigprocmask(SIG_BLOCK, &all, &before);
        r = suspend_in_time();
        if (r >= 0)
                r = mapping_replace_by_error(LUKS_MAPPING);
        (void) sigprocmask(SIG_SETMASK, &before, NULL);
        return r;
}

int wipe_key(Status *s) {
        int r;

        r = fail_in_time();
        if (r == -ENODEV)
                return wipe_integrity(s);
        if (r == -ETIMEDOUT)
                return status_fail(s, REASON_INTERNAL, 0,
                                   "The disk does not finish what was sent to it, and the kernel keeps the "
                                   "key until then; try again, or power off");
        return r < 0 ? status_fail(s, REASON_INTERNAL, r, "Failed to wipe the key") : wipe_integrity(s);
}

/* The overlay of /nix/store stays: its lower layer is what the system runs from. */
static int wipe_mounts(const Status *before, Status *s) {
        OldPools old = { .numbers = { mounted_number(before) }, .n = 1 };
        int r = 0, q;

        for (char **m = before->mounts; m && *m; m++) {
                q = pool_unmount(*m, &old);
                r = r < 0 ? r : q;
        }
        if (r >= 0)
                r = pool_unmount(POOL_DIRECTORY, &old);
        q = mapping_release(LUKS_MAPPING);
        r = r < 0 ? r : q;
        return r < 0 ? status_fail(s, REASON_WIPED, r, "The key is destroyed, but not all mounts are gone")
                     : 0;
}

/* What was left to do by a wipe that failed halfway is done by the next one. */
static bool can_be_wiped(const Status *s) {
        return s->state == STATE_ENCRYPTED || (s->reason == REASON_WIPED && s->mounts);
}

int wipe_pool(const char *detail) {
        _cleanup_(status_done) Status before = {}, s = { .state = STATE_NONE };
        int r, q;

        r = record_read(&before);
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
        q = announce_outcome(&s);
        return r < 0 ? r : q;
}

int verb_wipe(const Options *o) {
        return wipe_pool("The key was destroyed by ccvm-scratch wipe");
}
