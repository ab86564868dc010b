/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "wipe.h"

#include <libmount.h>
#include <sys/mount.h>

#include "clock.h"
#include "integrity.h"
#include "log.h"
#include "luks.h"
#include "mapping.h"

#define WAIT_STEP 2U     /* seconds, until it is said what is waited for */
#define WAIT_TIMEOUT 10U /* seconds */

DEFINE_TRIVIAL_CLEANUP_FUNC(struct libmnt_table *, mnt_unref_table)

static int suspend_in_time(void) {
        for (unsigned waited = 0; waited < WAIT_TIMEOUT; waited += WAIT_STEP) {
                int r;

                interrupt_after(WAIT_STEP);
                r = mapping_suspend(LUKS_MAPPING);
                interrupt_after(0);
                if (r != -EINTR)
                        return r;
                if (waited == 0)
                        log_info("Waiting for the disk to finish what was sent to it.");
        }
        return -ETIMEDOUT;
}

/* The key that makes the tags, and these. */
static int wipe_integrity(Status *s) {
        int r = integrity_close(0);

        return r < 0 ? status_fail(s, REASON_INTERNAL, r, "Failed to remove the tags") : 0;
}

int wipe_key(Status *s) {
        uint64_t length;
        int r;

        r = mapping_get_length(LUKS_MAPPING, &length);
        if (r == -ENODEV)
                return wipe_integrity(s);
        if (r >= 0)
                r = suspend_in_time();
        if (r == -ETIMEDOUT)
                return status_fail(s, REASON_INTERNAL, 0,
                                   "The disk does not finish what was sent to it, and the kernel keeps the "
                                   "key until then; try again, or power off");
        if (r >= 0)
                r = mapping_fail(LUKS_MAPPING, length);
        return r < 0 ? status_fail(s, REASON_INTERNAL, r, "Failed to wipe the key") : wipe_integrity(s);
}

/* By the mount table: a file system that has shut down does not tell of itself. What is not there, or is
 * somebody else's, is left alone. */
static int detach(struct libmnt_table *table, const char *path, dev_t pool) {
        struct libmnt_fs *fs = mnt_table_find_target(table, path, MNT_ITER_BACKWARD);

        if (!fs || mnt_fs_get_devno(fs) != pool)
                return 0;
        return umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 ? -errno : 0;
}

/* The overlay of /nix/store stays: its lower layer is what the system runs from. */
int wipe_mounts(char **mounts, Status *s) {
        _cleanup_(mnt_unref_tablep) struct libmnt_table *table =
                mnt_new_table_from_file("/proc/self/mountinfo");
        struct libmnt_fs *fs =
                table ? mnt_table_find_target(table, POOL_DIRECTORY, MNT_ITER_BACKWARD) : NULL;
        int r = 0, q;

        for (char **m = mounts; fs && m && *m; m++) {
                q = detach(table, *m, mnt_fs_get_devno(fs));
                r = r < 0 ? r : q;
        }
        if (fs && r >= 0)
                r = detach(table, POOL_DIRECTORY, mnt_fs_get_devno(fs));
        q = mapping_remove(LUKS_MAPPING);
        r = r < 0 ? r : q;
        return r < 0 ? status_fail(s, REASON_WIPED, r, "The key is destroyed, but not all mounts are gone")
                     : 0;
}
