/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* recover, of ccvm-scratch-recover.service: ends a renewal that was begun and not finished in what was
 * asked for without a disk.
 *
 * When: after ccvm-scratch-renew.service has failed, at whatever point. It must never take away an old
 * mount before another one is in its place. */

#include "verbs.h"

#include "encrypt.h"
#include "mounted.h"
#include "mounts.h"

int verb_recover(const Options *o) {
        OldPools old = {};
        int r;

        old_pools_read(&old);
        old_pools_add(&old, mounted_at(POOL_DIRECTORY));
        (void) old_pools_write(&old);
        pool_detach();
        r = verb_fallback(o);
        /* Until the power is off what is there fails: nothing lands below it. */
        if (o->fallback == FALLBACK_FAIL)
                return r;
        if (mounted_at(POOL_DIRECTORY) != 0)
                mounts_replace(&o->layout, &old, o->bind);
        else if (o->fallback == FALLBACK_NONE)
                for (size_t i = 0; i < o->layout.n_mounts; i++)
                        (void) mounts_detach(o->layout.mounts[i].path, &old);
        (void) close_disk();
        (void) unlink(RENEWING_PATH);
        return r;
}
