/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "wipe.h"

#include <libdevmapper.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "luks.h"
#include "pool.h"

DEFINE_TRIVIAL_CLEANUP_FUNC(struct dm_task *, dm_task_destroy)
#define _cleanup_task_ _cleanup_(dm_task_destroyp)

/* A request about the mapping, yet to be run; NULL if out of memory. */
static struct dm_task *make_task(int type) {
        _cleanup_task_ struct dm_task *task = dm_task_create(type);

        return task && dm_task_set_name(task, LUKS_MAPPING) ? TAKE_PTR(task) : NULL;
}

static int run(struct dm_task *task) {
        if (!task)
                return -ENOMEM;
        if (dm_task_run(task))
                return 0;
        return -(dm_task_get_errno(task) ?: EIO);
}

/* The length of the mapping, in sectors of 512 bytes. -ENODEV if there is none. */
static int get_length(uint64_t *ret) {
        _cleanup_task_ struct dm_task *task = make_task(DM_DEVICE_TABLE);
        struct dm_info info;
        uint64_t start;
        char *type, *params;
        int r;

        if (task && !dm_task_secure_data(task))
                return -ENOMEM;
        r = run(task);
        if (r < 0)
                return r == -ENXIO ? -ENODEV : r;
        if (!dm_task_get_info(task, &info) || !info.exists)
                return -ENODEV;
        (void) dm_get_next_target(task, NULL, &start, ret, &type, &params);
        return 0;
}

/* Without flush and without freezing the file system: both would wait for the disk, and write what is to be
 * lost. The target takes the message only while it is suspended. */
static int suspend_and_wipe_key(void) {
        _cleanup_task_ struct dm_task *suspend = make_task(DM_DEVICE_SUSPEND);
        _cleanup_task_ struct dm_task *message = make_task(DM_DEVICE_TARGET_MSG);
        int r;

        if (!suspend || !message || !dm_task_skip_lockfs(suspend) || !dm_task_no_flush(suspend) ||
            !dm_task_set_sector(message, 0) || !dm_task_set_message(message, "key wipe"))
                return -ENOMEM;
        r = run(suspend);
        return r < 0 ? r : run(message);
}

/* Puts an error target in the place of the crypt target, whose memory the kernel then frees and clears, and
 * lets I/O go on to fail. */
static int replace_by_error(uint64_t length) {
        _cleanup_task_ struct dm_task *reload = make_task(DM_DEVICE_RELOAD);
        _cleanup_task_ struct dm_task *resume = make_task(DM_DEVICE_RESUME);
        int r;

        if (!reload || !resume || !dm_task_add_target(reload, 0, length, "error", "") ||
            !dm_task_no_flush(resume) || !dm_task_skip_lockfs(resume))
                return -ENOMEM;
        r = run(reload);
        return r < 0 ? r : run(resume);
}

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

static int remove_mapping(void) {
        _cleanup_task_ struct dm_task *task = make_task(DM_DEVICE_REMOVE);

        return !task || !dm_task_deferred_remove(task) ? -ENOMEM : run(task);
}

int wipe(char **mounts, Status *s) {
        uint64_t length;
        int r;

        r = get_length(&length);
        if (r < 0)
                return status_fail(s, REASON_INTERNAL, r, "There is no mapping '%s'", LUKS_MAPPING);
        r = suspend_and_wipe_key();
        if (r < 0)
                return status_fail(s, REASON_INTERNAL, r, "Failed to wipe the key");
        r = replace_by_error(length);
        if (r < 0)
                return status_fail(s, REASON_INTERNAL, r,
                                   "The key is wiped, but the mapping stays suspended");
        r = detach_mounts(mounts);
        if (r < 0)
                return status_fail(s, REASON_INTERNAL, r,
                                   "The key is wiped, but not all mounts could be detached");
        r = remove_mapping();
        return r < 0 ? status_fail(s, REASON_INTERNAL, r, "The key is wiped, but the mapping is still there")
                     : 0;
}
