/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The verb encrypt, of ccvm-scratch-luks.service: the encrypted pool, for the first time in this boot.
 *
 * When: in the initrd, after the disk has appeared and before initrd-fs.target; in the real root before
 * local-fs.target where there is no initrd, or when a disk is hot-plugged. Never: run a second time over a
 * live pool, or leave anything behind after a failure. */

#include "verbs.h"

#include "announce.h"
#include "attempt.h"
#include "log.h"
#include "set_up.h"

/* A disk that is hot-plugged comes when all else is mounted. A mount point that cannot be used costs itself,
 * and is told of. */
static int mount_directories(const Options *o, const Status *s) {
        const DirSpec *mounts[POOL_MOUNTS_MAX];
        size_t n = pool_sort(&o->layout, mounts);

        if (!o->bind)
                return 0;
        for (size_t i = 0; i < n; i++)
                (void) pool_bind("", mounts[i]);
        return announce_missing(s);
}

int verb_encrypt(const Options *o) {
        _cleanup_(status_done) Status s = { .state = STATE_NONE };
        int r;

        r = attempt_claim();
        if (r == -EEXIST)
                return log_error_errno(r,
                                       "The pool was set up in this boot already; refusing to do it again");
        if (r < 0)
                return set_up_failed(&s, status_fail(&s, REASON_INTERNAL, r, "Failed to mark the attempt"));
        r = set_up_pool(o, &s);
        if (r >= 0)
                (void) mount_directories(o, &s);
        return r;
}
