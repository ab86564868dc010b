/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The verb shutdown, of ccvm-scratch-shutdown.service: what is not written yet never is.
 *
 * When: at every end but a soft-reboot, when the services have stopped and all but the pool itself is
 * unmounted. Never: takes the disk from a pool that is still in use. */

#include "verbs.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "announce.h"
#include "log.h"
#include "mounted.h"
#include "mounts.h"
#include "unplug.h"

/* What is not on the disk yet is given up, also where dm-crypt has it already. */
static void abandon_disk(void) {
        struct stat st;
        int r;

        log_to_kmsg(); /* beside what the kernel says of it */
        pool_abandon(AT_FDCWD, POOL_DIRECTORY);
        r = stat(LUKS_NODE, &st) < 0 ? -errno : unplug_below(st.st_rdev);
        if (r < 0)
                log_warning_errno(r, "Failed to remove the disk: what is not on it yet is written first");
}

/* The mapping goes when the pool is unmounted, which is next. Where somebody still uses the pool, as an
 * overlay of /nix/store that stays mounted, it is left to systemd-shutdown(8): programs that are yet to run
 * may be on it. */
int verb_shutdown(const Options *o) {
        _cleanup_(status_done) Status s = {};
        int r;

        r = record_load_encrypted(&s);
        if (r <= 0)
                return r;
        r = mounted_in_use(&s);
        if (r < 0)
                return log_error_errno(r, "Failed to look for users of '%s'", POOL_DIRECTORY);
        if (r > 0) {
                log_info("The scratch pool is still in use, and what is not on the disk yet is written.");
                return 0;
        }
        abandon_disk();
        r = luks_release();
        return r < 0 ? log_error_errno(r, "Failed to remove the mapping '%s'", LUKS_MAPPING) : 0;
}
