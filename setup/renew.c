/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The verb renew, of ccvm-scratch-renew.service: the pool once more, empty and under a new key.
 *
 * When: in the running system, when ccvm-scratch renew or watch.c starts it. Never: takes the pool from
 * somebody who uses it, unless forced, or uncovers what lies below its mounts. If it does not come to its end
 * recover.c is next. */

#include "verbs.h"

#include <fcntl.h>

#include "announce.h"
#include "clock.h"
#include "fileio.h"
#include "log.h"
#include "manager.h"
#include "mounted.h"
#include "old_pools.h"
#include "place.h"
#include "replace.h"
#include "set_up.h"
#include "users.h"
#include "wipe.h"

static int refuse_users(const Status *before, bool force) {
        int n = users_tell(before, force ? LOG_NOTICE : LOG_ERR);

        if (n < 0)
                return log_error_errno(n, "Failed to look for users of the scratch pool");
        if (n == 0 || force)
                return 0;
        log_error("The scratch pool is in use, and stays as it is. With --force whoever uses it gets I/O "
                  "errors.");
        return -EBUSY;
}

static int renew_allow(const Options *o, const Status *before, bool force) {
        if (before->state == STATE_OFF) {
                log_error("There is no scratch disk to renew: none was asked for.");
                return -ENOENT;
        }
        if (o->layout.nix_store) {
                log_error(
                        "The writable layer of /nix/store is on the scratch pool (NixStore=), and cannot be "
                        "taken from a running system. Reboot for a new key.");
                return -EBUSY;
        }
        if (!filesystem_has_program(o->file_system)) {
                log_error("There is no mkfs.%s in $PATH: the scratch pool stays as it is. Install it in the "
                          "image.",
                          filesystem_name(o->file_system));
                return -ENOENT;
        }
        return refuse_users(before, force);
}

/* By any of its mounts: somebody may have unmounted the others. */
static void abandon(const PoolLayout *layout, const OldPools *old) {
        pool_abandon(AT_FDCWD, POOL_DIRECTORY);
        for (size_t i = 0; i < layout->n_mounts; i++) {
                _cleanup_free_ char *path = NULL;
                _cleanup_close_ int place = place_open("", layout->mounts[i].path, false, &path);
                if (place >= 0 && old_pools_have(old, mounted_by(place, path)))
                        pool_abandon(place, ".");
        }
}

/* Until there is another pool. */
static void tell_there_is_none(const Status *before) {
        (void) record_write(&(Status) { .state = STATE_NONE,
                                        .mounts = before->mounts,
                                        .detail = (char *) "The key was destroyed for a renewal, which has "
                                                           "not come to its end" });
}

static int renew_begin(const Options *o, const Status *before) {
        _cleanup_(status_done) Status s = {};
        OldPools old = {};
        bool begun = access(RENEWING_PATH, F_OK) >= 0;
        int r;

        old_pools_read(&old);
        old_pools_add(&old, mounted_number(before));
        r = old_pools_write(&old);
        if (r < 0)
                return r;
        r = wipe_key(&s);
        if (r < 0) {
                if (!begun)
                        (void) unlink(RENEWING_PATH);
                log_error("%s", s.detail ?: "Out of memory");
                return -EIO;
        }
        if (r > 0)
                log_warning("%s.", s.detail ?: "Out of memory");
        tell_there_is_none(before);
        announce_forget_health();
        abandon(&o->layout, &old);
        pool_detach();
        r = luks_release_renamed();
        return r < 0 ? log_error_errno(r, "Failed to put the mapping '%s' aside", LUKS_MAPPING) : 0;
}

static void renew_mounts(const Options *o) {
        OldPools old = {};

        old_pools_read(&old);
        /* With its last mount the old mapping goes. */
        warn_of_manager(manager_wait_for_device(LUKS_NODE, now_usec() + MANAGER_WAIT_USEC));
        replace_mounts(o, &old);
        (void) unlink(RENEWING_PATH);
}

int verb_renew(const Options *o) {
        _cleanup_(status_done) Status before = {}, s = { .state = STATE_NONE };
        bool force = unlink(FORCE_PATH) >= 0;
        int r;

        r = record_load(&before);
        if (r >= 0)
                r = renew_allow(o, &before, force);
        if (r >= 0)
                r = renew_begin(o, &before);
        if (r >= 0)
                r = set_up_pool(o, &s);
        if (r < 0)
                return r; /* verb_recover() is next */
        renew_mounts(o);
        (void) announce_missing(&s);
        return 0;
}
