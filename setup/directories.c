/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mount, of ccvm-scratch-mounts.service, and directories, of ccvm-scratch-directories.service.
 *
 * When: mount in the initrd, after the pool is there, for a real root that has no units of this package;
 * directories in the real root, before the pool's mounts, for those that the initrd did not know of. They
 * must never fail a boot for a path that cannot be used: a root that is read-only has to bring it. */

#include "verbs.h"

#include "log.h"
#include "mounts.h"
#include "pool.h"
#include "record.h"

int verb_mount(const Config *c, const char *root) {
        mounts_bind(c, root);
        return 0;
}

int verb_directories(const Config *c) {
        _cleanup_(status_done) Status s = {};
        int r;

        r = record_read(&s);
        if (r < 0)
                return r;
        if (r == 0)
                return log_error_errno(-ENOENT, "Failed to read '%s'", STATUS_PATH);
        r = pool_extend(c, &s);
        if (r < 0) {
                log_error("%s", s.detail ?: "Out of memory");
                return r;
        }
        return record_write(&s);
}
