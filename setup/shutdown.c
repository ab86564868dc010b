/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* shutdown, ExecStop= of ccvm-scratch-shutdown.service: what is not on the disk yet is given up, where to
 * write it could take minutes.
 *
 * When: at every end but a soft-reboot, when the services have stopped and all but the pool itself is
 * unmounted. It must never take the disk from a pool that is still in use, as by an overlay of /nix/store
 * that stays mounted: programs that are yet to run may be on it, and systemd-shutdown(8) removes it. */

#include "verbs.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "log.h"
#include "mounted.h"
#include "pool.h"
#include "record.h"
#include "unplug.h"

/* Gives up also what dm-crypt has already. */
static void abandon_disk(void) {
        struct stat st;
        int r;

        log_to_kmsg(); /* beside what the kernel says of it */
        pool_abandon(AT_FDCWD, POOL_DIRECTORY);
        r = stat(LUKS_NODE, &st) < 0 ? -errno : unplug_below(st.st_rdev);
        if (r < 0)
                log_warning_errno(r, "Failed to remove the disk: what is not on it yet is written first");
}

int verb_shutdown(const Options *o) {
        _cleanup_(status_done) Status s = {};
        int r;

        r = record_read(&s);
        if (r < 0 || s.state != STATE_ENCRYPTED)
                return r;
        r = mounted_in_use(&s);
        if (r < 0)
                return log_error_errno(r, "Failed to look for users of '%s'", POOL_DIRECTORY);
        if (r > 0) {
                log_info("The scratch pool is still in use, and what is not on the disk yet is written.");
                return 0;
        }
        abandon_disk();
        /* The mapping goes when the pool is unmounted, which is next. */
        r = luks_remove_later();
        if (r < 0)
                return log_error_errno(r, "Failed to remove the mapping '%s'", LUKS_MAPPING);
        return 0;
}
