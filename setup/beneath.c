/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "beneath.h"

#include <sched.h>

#include "macro.h"
#include "mountcalls.h"
#include "mounted.h"

#define FLAGS (MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)

/* Returns the ID of the mount on which the mount of place lies, or -EOPNOTSUPP if propagate() cannot get
 * there: that mount has to have peers, and place must not cover its root, which is out of reach in a peer. */
static int find_parent(int place) {
        _cleanup_table_ struct libmnt_table *table = mnt_new_table_from_file(MOUNT_TABLE);
        struct libmnt_fs *fs = table ? mounted_find(table, place) : NULL,
                         *parent = fs ? mounted_find_id(table, mnt_fs_get_parent_id(fs)) : NULL;
        unsigned long propagation = 0;

        if (!parent || streq(mnt_fs_get_target(fs), mnt_fs_get_target(parent)))
                return -EOPNOTSUPP;
        (void) mnt_fs_get_propagation(parent, &propagation);
        return propagation & MS_SHARED ? mnt_fs_get_id(parent) : -EOPNOTSUPP;
}

/* Mounts tree on the directory name of the mount peer, in a mount namespace of this process's own. */
static int attach_to_peer(int tree, int peer, const char *name) {
        _cleanup_close_ int place = -EBADF;

        /* Nothing can be mounted on a mount that is in no namespace: peer goes on top of this one's root. */
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            move_mount(peer, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
                return -errno;
        place = openat(peer, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return place < 0 || move_mount(tree, "", place, "", FLAGS) < 0 ? -errno : 0;
}

/* Mounts tree on name in a peer of the mount that place lies on, in a namespace that is gone afterwards.
 * Nothing is mounted in that peer. From there the mount propagates to all others, and goes beneath what they
 * have at its place already, since Linux 4.11 (1064f874abc0). */
static int propagate(int tree, int place, const char *name) {
        _cleanup_close_ int above = openat(place, "..", O_PATH | O_DIRECTORY | O_CLOEXEC), peer = -EBADF,
                            own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
        int r;

        if (above < 0 || own < 0)
                return -errno;
        peer = open_tree(above, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
        if (peer < 0 || unshare(CLONE_NEWNS) < 0)
                return -errno;
        r = attach_to_peer(tree, peer, name);
        if (setns(own, CLONE_NEWNS) < 0)
                abort();
        return r;
}

int beneath_attach(int tree, int place, const char *path) {
        int parent, r;

        if (move_mount(tree, "", place, "", FLAGS | MOVE_MOUNT_BENEATH) >= 0)
                return 0;
        parent = find_parent(place);
        if (parent < 0)
                return parent;
        r = propagate(tree, place, strrchr(path, '/') + 1);
        if (r < 0)
                return r;
        return find_parent(place) == parent ? -ESTALE : 0;
}
