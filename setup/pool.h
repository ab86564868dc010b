/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The pool: one file system, on the disk or in RAM, with a directory for each mount point. */

#include "dirspec.h"
#include "filesystem.h"
#include "status.h"

/* The directories that it is to have; everything is borrowed. */
typedef struct PoolLayout {
        const DirSpec *mounts; /* "/scratch" becomes POOL_DIRECTORY/scratch */
        size_t n_mounts;
        bool nix_store;   /* nix/store and nix/work, upper and work directory of an overlay */
        bool nix_overlay; /* which is mounted on /nix/store too */
} PoolLayout;

/* Mounts the pool from the block device node, or as a tmpfs of this size (the text of tmpfs(5)), and makes
 * the directories. A failure is noted in s, and nothing is mounted then. On success s has the file system
 * and the mount points. */
int pool_mount_disk(const FileSystem *fs, const char *node, bool discard, const PoolLayout *layout,
                    Status *s);
int pool_mount_tmpfs(const char *size, const PoolLayout *layout, Status *s);

/* Makes what layout has and the mounted pool has not, and notes its mount points in s in place of those
 * before. A failure is noted in s. */
int pool_extend(const PoolLayout *layout, Status *s);

/* Mounts the directory of the mounted pool on its own path, which is made if it is not there. Logs its
 * errors. */
int pool_bind(const DirSpec *d);

/* Has the file system that is mounted on path write nothing any more, where it can (ext4, xfs), not even
 * when it is unmounted; whoever uses it gets I/O errors. */
void pool_abandon(const char *path);

/* Unmounts the pool with this device number (mounted_number()) from path, which may be a symlink, as often
 * as it is there on top. 1 if it was, 0 if not; what umount(2) gives. What is somebody else's is left
 * alone. */
int pool_unmount(const char *path, dev_t number);

/* Detaches the pool if it is mounted; what still uses it keeps it until then. */
void pool_detach(void);
