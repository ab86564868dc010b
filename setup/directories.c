/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The verbs mount, of ccvm-scratch-mounts.service, and directories, of ccvm-scratch-directories.service.
 *
 * When: mount in the initrd, after the pool is there, for a root that has no units of ours; directories in
 * the real root, before the pool's mounts, for those that the initrd did not know of. Never: fail for a path
 * that cannot be used, which costs itself. */

#include "verbs.h"

#include "announce.h"
#include "log.h"
#include "mounts.h"

/* What cannot be mounted costs itself: a root that is read-only has to bring the directory. */
int verb_mount(const Options *o) {
        const DirSpec *mounts[POOL_MOUNTS_MAX];
        size_t n = pool_sort(&o->layout, mounts);

        for (size_t i = 0; i < n; i++)
                (void) pool_bind(o->root, mounts[i]);
        return 0;
}

int verb_directories(const Options *o) {
        _cleanup_(status_done) Status s = {};
        int r;

        r = record_load(&s);
        if (r < 0)
                return r;
        r = pool_extend(&o->layout, &s);
        if (r < 0)
                return log_error_errno(r, "%s", s.detail ?: "Out of memory");
        return record_write(&s);
}
