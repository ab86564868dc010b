/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "wipe.h"

#include <sys/mount.h>
#include <sys/stat.h>

#include "luks.h"
#include "mapping.h"
#include "pool.h"

/* Detaches the mount on path if it is of the pool. A file that is open there gives I/O errors. */
static int detach(const char *path, dev_t pool) {
        struct stat st;

        if (lstat(path, &st) < 0 || st.st_dev != pool)
                return 0;
        return umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL ? -errno : 0;
}

/* The overlay of /nix/store stays: its lower layer is what the system runs from. */
static int detach_mounts(char **mounts) {
        struct stat st;
        int r = 0, q;

        if (lstat(POOL_DIRECTORY, &st) < 0)
                return -errno;
        for (char **m = mounts; m && *m; m++) {
                q = detach(*m, st.st_dev);
                r = r < 0 ? r : q;
        }
        q = detach(POOL_DIRECTORY, st.st_dev);
        return r < 0 ? r : q;
}

int wipe(char **mounts, Status *s) {
        uint64_t length;
        int r;

        r = mapping_get_length(LUKS_MAPPING, &length);
        if (r < 0)
                return status_fail(s, REASON_INTERNAL, r, "There is no mapping '%s'", LUKS_MAPPING);
        r = mapping_wipe_key(LUKS_MAPPING);
        if (r < 0)
                return status_fail(s, REASON_INTERNAL, r, "Failed to wipe the key");
        r = mapping_fail(LUKS_MAPPING, length);
        if (r < 0)
                return status_fail(s, REASON_INTERNAL, r,
                                   "The key is wiped, but the mapping stays suspended");
        r = detach_mounts(mounts);
        if (r < 0)
                return status_fail(s, REASON_INTERNAL, r,
                                   "The key is wiped, but not all mounts could be detached");
        r = mapping_remove(LUKS_MAPPING);
        return r < 0 ? status_fail(s, REASON_INTERNAL, r, "The key is wiped, but the mapping is still there")
                     : 0;
}
