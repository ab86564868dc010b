/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "end.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "attempt.h"
#include "log.h"
#include "mounted.h"
#include "outcome.h"
#include "unplug.h"

/* What is told of it stays true: the generator of the next userspace finds the pool and writes the mounts.
 * After a wipe there is none. */
static int keep_pool(void) {
        _cleanup_(status_done) Status s = {};
        const FileSystem *fs;
        int r;

        r = outcome_load_encrypted(&s);
        if (r <= 0)
                return r;
        fs = filesystem_find(s.fs_type ?: "");
        if (!fs)
                return log_error_errno(-EBADMSG, "Failed to read '%s'", STATUS_PATH);
        /* Its options are those of the first mount, whatever these are. */
        r = filesystem_mount(fs, LUKS_NODE, POOL_DIRECTORY, false, &s);
        if (r < 0)
                log_error("%s", s.detail ?: "Out of memory");
        /* The mark of an overlay, by which the next one is refused. */
        else if (rmdir(POOL_DIRECTORY "/nix/work/work/incompat/volatile") < 0 && errno != ENOENT)
                log_warning_errno(-errno, "Failed to prepare the pool for another overlay");
        return r;
}

int end_forget(const Options *o) {
        int r;

        pool_detach();
        r = luks_close_unused();
        if (r == -EBUSY)
                return keep_pool();
        if (r < 0)
                return log_error_errno(r, "Failed to remove the mapping '%s'", LUKS_MAPPING);
        r = attempt_forget();
        return r < 0 ? log_error_errno(r, "Failed to remove the files in '%s'", STATUS_DIRECTORY) : 0;
}

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
int end_shutdown(const Options *o) {
        _cleanup_(status_done) Status s = {};
        int r;

        r = outcome_load_encrypted(&s);
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
        r = luks_remove_later();
        return r < 0 ? log_error_errno(r, "Failed to remove the mapping '%s'", LUKS_MAPPING) : 0;
}
