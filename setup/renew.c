/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* renew, of ccvm-scratch-renew.service: the pool once more, empty and under a new key.
 *
 * When: in the running system, when ccvm-scratch renew or watch.c starts it. It must never take the pool
 * from somebody who uses it, unless forced, or uncover what lies below its mounts. If it does not come to
 * its end, recover.c is next. */

#include "verbs.h"

#include <fcntl.h>

#include "announce.h"
#include "filesystem.h"
#include "log.h"
#include "luks.h"
#include "mounted.h"
#include "mounts.h"
#include "pool.h"
#include "record.h"
#include "users.h"

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

/* Whether there is a pool that can be had anew, and nobody uses it, which with force is only told. Logs why
 * not. */
static int allow(const Config *c, const Status *before, bool force) {
        if (before->state == STATE_OFF) {
                log_error("There is no scratch disk to renew: none was asked for.");
                return -ENOENT;
        }
        if (c->nix_store != NIX_STORE_NO) {
                log_error(
                        "The writable layer of /nix/store is on the scratch pool (NixStore=), and cannot be "
                        "taken from a running system. Reboot for a new key.");
                return -EBUSY;
        }
        if (!filesystem_has_program(filesystem_find(c->values[OPTION_FILE_SYSTEM].text))) {
                log_error("There is no mkfs.%s in $PATH: the scratch pool stays as it is. Install it in the "
                          "image.",
                          c->values[OPTION_FILE_SYSTEM].text);
                return -ENOENT;
        }
        return refuse_users(before, force);
}

/* Destroys the key. From here on a file tells that a renewal is under way, and the status that there is no
 * pool, until there is another one. Where the disk does not finish what was sent to it nothing is
 * changed. */
static int destroy(const Status *before, const OldPools *old) {
        bool begun = access(RENEWING_PATH, F_OK) >= 0;
        int r;

        r = old_pools_write(old);
        if (r < 0)
                return r;
        r = wipe_key();
        if (r < 0) {
                if (!begun)
                        (void) unlink(RENEWING_PATH);
                return r;
        }
        (void) record_write(&(Status) { .state = STATE_NONE,
                                        .mounts = before->mounts,
                                        .detail = (char *) "The key was destroyed for a renewal, which has "
                                                           "not come to its end" });
        announce_forget_health();
        return 0;
}

/* Leaves the old pool, which fails, to whoever still uses it. */
static int put_aside(const Config *c, const OldPools *old) {
        int r;

        /* By any of its mounts: somebody may have unmounted the others. */
        pool_abandon(AT_FDCWD, POOL_DIRECTORY);
        mounts_abandon(c, old);
        pool_detach();
        r = luks_release_renamed();
        if (r < 0)
                return log_error_errno(r, "Failed to put the mapping '%s' aside", LUKS_MAPPING);
        return 0;
}

int verb_renew(const Config *c) {
        _cleanup_(status_done) Status before = {}, s = { .state = STATE_NONE };
        bool force = unlink(FORCE_PATH) >= 0;
        OldPools old = {};
        int r;

        r = record_read(&before);
        if (r < 0)
                return r;
        r = allow(c, &before, force);
        if (r < 0)
                return r;
        old_pools_read(&old);
        old_pools_add(&old, mounted_pool(&before));
        r = destroy(&before, &old);
        if (r < 0)
                return r;
        r = put_aside(c, &old);
        if (r < 0)
                return r;
        r = encrypt_disk(c, &s);
        if (r < 0)
                return r;
        mounts_replace(c, &old, c->hotplug);
        (void) unlink(RENEWING_PATH);
        (void) announce_missing(&s);
        return 0;
}
