/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* forget, of ccvm-scratch-soft-reboot.service: the mapping goes with its key, and the next userspace sets
 * up a pool of its own. What is still in use, as by an overlay that stays mounted, it gets as it is.
 *
 * When: at a soft-reboot, which keeps kernel and /run, when all is unmounted. It must never take away what
 * is in use. */

#include "verbs.h"

#include "filesystem.h"
#include "log.h"
#include "luks.h"
#include "mapping.h"
#include "pool.h"
#include "record.h"

/* The status stays true: the generator of the next userspace finds the pool and writes the mounts. After a
 * wipe there is none. */
static int keep_pool(void) {
        _cleanup_(status_done) Status s = {};
        const FileSystem *fs;
        int r;

        r = record_read(&s);
        if (r < 0 || s.state != STATE_ENCRYPTED)
                return r;
        fs = filesystem_find(s.fs_type ?: "");
        if (!fs)
                return log_error_errno(-EBADMSG, "Failed to read '%s'", STATUS_PATH);
        /* Its options are those of the first mount, whatever these are. */
        r = pool_mount(fs, false, &s);
        if (r < 0) {
                log_error("%s", s.detail ?: "Out of memory");
                return r;
        }
        /* The mark of an overlay, by which the next one is refused. */
        if (rmdir(POOL_DIRECTORY "/nix/work/work/incompat/volatile") < 0 && errno != ENOENT)
                log_warning_errno(errno, "Failed to prepare the pool for another overlay");
        return 0;
}

int verb_forget(const Config *c) {
        int r;

        pool_detach();
        r = mapping_is_in_use(LUKS_MAPPING);
        if (r > 0)
                return keep_pool();
        if (r == 0)
                r = luks_close();
        if (r < 0)
                return log_error_errno(r, "Failed to remove the mapping '%s'", LUKS_MAPPING);
        return record_forget();
}
