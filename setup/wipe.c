/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* wipe: destroys the key now.
 *
 * When: in the running system, when ccvm-scratch wipe starts it; for a clone, watch.c calls it. It must
 * never leave the mapping suspended: whoever uses it would wait for good. */

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
#include "record.h"

#define TAGS_LEFT "The key is destroyed, and the tags are not all removed"

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

/* Nothing ends the process between the two but SIGKILL. */
static int suspend_and_fail(void) {
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

int wipe_key(void) {
        int r;

        r = suspend_and_fail();
        if (r == -ETIMEDOUT) {
                log_error("The disk does not finish what was sent to it, and the kernel keeps the key until "
                          "then; try again, or power off");
                return r;
        }
        if (r < 0 && r != -ENODEV)
                return log_error_errno(r, "Failed to wipe the key");
        /* The key that makes the tags, and these. */
        r = integrity_close();
        if (r < 0) {
                log_error_errno(r, TAGS_LEFT);
                return 1;
        }
        return 0;
}

/* The overlay of /nix/store stays: its lower layer is what the system runs from. */
static int remove_mounts(const Status *before) {
        OldPools old = { .numbers = { mounted_pool(before) }, .n = 1 };
        int r, failed = 0;

        for (char **m = before->mounts; m && *m; m++)
                failed |= mounts_detach(*m, &old) < 0;
        if (!failed)
                failed |= mounts_detach(POOL_DIRECTORY, &old) < 0;
        r = mapping_release(LUKS_MAPPING);
        if (r < 0)
                log_error_errno(r, "Failed to remove the mapping '%s'", LUKS_MAPPING);
        return failed || r < 0 ? -EBUSY : 0;
}

/* A wipe that has failed halfway leaves the mounts for the next one. */
static bool can_be_wiped(const Status *s) {
        return s->state == STATE_ENCRYPTED || (s->reason == REASON_WIPED && s->mounts);
}

int wipe_pool(const char *detail) {
        _cleanup_(status_done) Status before = {}, s = { .state = STATE_NONE, .reason = REASON_WIPED };
        bool tags_left, mounts_left;
        int r;

        r = record_read(&before);
        if (r < 0)
                return r;
        if (!can_be_wiped(&before)) {
                log_error("There is no encrypted scratch disk to wipe: the state is %s.",
                          state_to_string(before.state));
                return -ENOENT;
        }
        r = wipe_key();
        if (r < 0)
                return r;
        tags_left = r > 0;
        mounts_left = remove_mounts(&before) < 0;
        if (tags_left || mounts_left)
                s.mounts = TAKE_PTR(before.mounts);
        if (tags_left)
                detail = TAGS_LEFT;
        else if (mounts_left)
                detail = "The key is destroyed, but not all mounts are gone";
        s.detail = strdup(detail);
        r = announce_outcome(&s);
        return tags_left || mounts_left ? -EBUSY : r;
}

int verb_wipe(const Config *c) {
        return wipe_pool("The key was destroyed by ccvm-scratch wipe");
}
