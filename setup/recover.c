/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* recover, of ccvm-scratch-recover.service: ends a renewal that was begun and not finished in what was
 * asked for without a disk.
 *
 * When: after ccvm-scratch-renew.service has failed, at whatever point. It must never take away an old
 * mount before another one is in its place. */

#include "verbs.h"

#include "mounted.h"
#include "mounts.h"
#include "pool.h"

int verb_recover(const Config *c) {
        OldPools old = {};
        int r;

        old_pools_read(&old);
        old_pools_add(&old, mounted_at(POOL_DIRECTORY));
        (void) old_pools_write(&old);
        pool_detach();
        r = verb_fallback(c);
        /* Until the power is off what is there fails: nothing lands below it. */
        if (config_fallback(c) == FALLBACK_FAIL)
                return r;
        if (mounted_at(POOL_DIRECTORY) != 0)
                mounts_replace(c, &old, c->hotplug);
        else if (config_fallback(c) == FALLBACK_NONE)
                for (size_t i = 0; i < c->n_mounts; i++)
                        (void) mounts_detach(c->mounts[i].path, &old);
        (void) close_disk();
        (void) unlink(RENEWING_PATH);
        return r;
}
