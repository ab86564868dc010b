/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "life.h"

#include <sys/statvfs.h>

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
#include "wipe.h"

#define CLONE_PATIENCE (60 * USEC_PER_SEC)

/* What was left to do by a wipe that failed halfway is done by the next one. */
static bool can_be_wiped(const Status *s) {
        return s->state == STATE_ENCRYPTED || (s->reason == REASON_WIPED && s->mounts);
}

static int wipe(const char *detail) {
        _cleanup_(status_done) Status before = {}, s = { .state = STATE_NONE };
        int r, q;

        r = outcome_read(&before);
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

/* If anything was freed or written since the last time. */
static int trim(const Status *s) {
        const FileSystem *fs = s->state == STATE_ENCRYPTED ? filesystem_find(s->fs_type ?: "") : NULL;
        _cleanup_free_ char *last = NULL, *now = NULL;
        struct statvfs v;
        int r;

        if (!fs || !filesystem_trims(fs) || statvfs(POOL_DIRECTORY, &v) < 0)
                return 0;
        if (asprintf(&now, "%llu", (unsigned long long) v.f_bfree) < 0)
                return log_oom();
        if (file_read(FREE_PATH, KIB, &last) >= 0 && streq(last, now))
                return 0;
        r = filesystem_trim(POOL_DIRECTORY);
        if (r >= 0)
                r = file_write_atomic(FREE_PATH, now, 0644);
        return r < 0 && r != -ETIME ? log_warning_errno(r, "Failed to give freed blocks back") : 0;
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
                (void) trim(&s);
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

/* It has a key that others may have too. */
static int handle_clone(const Options *o) {
        _cleanup_(status_done) Status s = {};
        int r;

        r = outcome_load_encrypted(&s);
        if (r <= 0)
                return r;
        s.reason = REASON_CLONED;
        free(s.detail);
        s.detail = strdup("The virtual machine goes on from a snapshot, from which others with the same key "
                          "may go on too");
        r = outcome_announce(&s);
        if (o->on_clone == ON_CLONE_WIPE)
                return wipe(
                        "The virtual machine goes on from a snapshot, and OnClone=wipe destroyed the key");
        if (r < 0 || o->on_clone == ON_CLONE_WARN)
                return r;
        /* Whoever uses the pool does not keep it. */
        r = file_write_atomic(FORCE_PATH, "", 0600);
        if (r >= 0)
                r = manager_start("ccvm-scratch-renew.service");
        if (r >= 0)
                return 0;
        (void) unlink(FORCE_PATH);
        return log_error_errno(r, "Failed to start ccvm-scratch-renew.service");
}

int life_watch(const Options *o) {
        _cleanup_close_ int fd = clone_open();
        int r = fd;

        while (r >= 0 && (r = clone_wait(fd)) >= 0) {
                /* A renewal that is under way comes to its end first, and tells of it. */
                (void) lock_take(CLONE_PATIENCE);
                (void) handle_clone(o);
                lock_release();
        }
        return log_error_errno(r, "Failed to read '/dev/kmsg'");
}
