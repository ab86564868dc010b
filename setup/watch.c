/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* watch, of ccvm-scratch-clone.service: waits until the virtual machine goes on from a snapshot, as often
 * as it does, and tells, renews or wipes.
 *
 * When: in the running system, from the time that the pool is there; it returns after an error only. With
 * OnClone=renew or wipe it must never leave a key that others may have. */

#include "verbs.h"

#include <poll.h>

#include "announce.h"
#include "clock.h"
#include "fileio.h"
#include "filesystem.h"
#include "kmsg.h"
#include "log.h"
#include "record.h"
#include "systemctl.h"

/* Longer than a renewal takes at most. */
#define LOCK_USEC (60 * USEC_PER_SEC)

static int announce_clone(Status *s) {
        s->reason = REASON_CLONED;
        free(s->detail);
        s->detail =
                strdup("The virtual machine goes on from a snapshot, from which others with the same key "
                       "may go on too");
        return announce_outcome(s);
}

static bool has_shared_key(void) {
        _cleanup_(status_done) Status s = {};

        return record_read(&s) > 0 && s.state == STATE_ENCRYPTED && s.reason == REASON_CLONED;
}

/* Renews, whoever uses the pool. Returns whether the key is gone. Twice, as the first job may be one that
 * was begun before the clone. */
static bool renew_clone(void) {
        for (unsigned i = 0; i < 2 && has_shared_key(); i++) {
                if (file_write_atomic(FORCE_PATH, "", 0600) >= 0)
                        (void) systemctl_run("start", "ccvm-scratch-renew.service");
                (void) unlink(FORCE_PATH);
        }
        return !has_shared_key();
}

/* Destroys the key, or ends the machine. */
static int end_clone(const Config *c) {
        if (c->on_clone == ON_CLONE_WIPE)
                return wipe_pool(
                        "The virtual machine goes on from a snapshot, and OnClone=wipe destroyed the key");
        if (config_fallback(c) != FALLBACK_FAIL)
                return wipe_pool("The virtual machine goes on from a snapshot, and as the pool could not be "
                                 "renewed the key was destroyed");
        (void) announce_power_off(reason_to_string(REASON_CLONED), "the pool could not be renewed");
        return systemctl_run("poweroff", "--force");
}

static int handle_clone(const Config *c) {
        _cleanup_(status_done) Status s = {};
        int r;

        r = record_read(&s);
        if (r < 0 || s.state != STATE_ENCRYPTED)
                return r;
        r = announce_clone(&s);
        if (c->on_clone == ON_CLONE_WARN)
                return r;
        if (c->on_clone == ON_CLONE_RENEW) {
                /* The renewal takes the lock itself. */
                lock_release();
                if (renew_clone())
                        return r;
                (void) lock_take(LOCK_USEC);
        }
        return end_clone(c);
}

static int look_for_clone(const Config *c, int log) {
        bool cloned = false;
        int r;

        r = kmsg_read(log, &cloned);
        if (r < 0 || !cloned)
                return r;
        /* The key of a renewal that is under way may be younger than the clone; and it writes the status. */
        (void) lock_take(LOCK_USEC);
        r = kmsg_read(log, &cloned);
        if (r >= 0 && cloned)
                (void) handle_clone(c);
        lock_release();
        return r;
}

int verb_watch(const Config *c) {
        _cleanup_close_ int log = kmsg_open();
        int r = log;

        if (c->on_clone == ON_CLONE_RENEW &&
            !filesystem_has_program(filesystem_find(c->values[OPTION_FILE_SYSTEM].text)))
                log_warning("OnClone=renew: there is no mkfs.%s in $PATH. %s instead.",
                            c->values[OPTION_FILE_SYSTEM].text,
                            config_fallback(c) == FALLBACK_FAIL ? "A clone will be powered off"
                                                                : "The key of a clone will be wiped");
        while (r >= 0) {
                r = look_for_clone(c, log);
                if (r >= 0 && poll(&(struct pollfd) { .fd = log, .events = POLLIN }, 1, -1) < 0 &&
                    errno != EINTR)
                        r = -errno;
        }
        return log_error_errno(r, "Failed to read '/dev/kmsg'");
}
