/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The pool: one file system, on the disk or in RAM, with a directory for each mount point. */

#include "dirspec.h"
#include "filesystem.h"
#include "old_pools.h"
#include "status.h"

#define POOL_MOUNTS_MAX 32

/* The directories that it is to have; everything is borrowed. */
typedef struct PoolLayout {
        const DirSpec *mounts; /* "/scratch" becomes POOL_DIRECTORY/scratch */
        size_t n_mounts;
        bool nix_store;   /* nix/store and nix/work, upper and work directory of an overlay */
        bool nix_overlay; /* which is mounted on /nix/store too */
} PoolLayout;

/* The source of a pool in RAM, in the mount table. */
#define POOL_TMPFS "ccvm-scratch"

/* Mounts the pool from the block device node, or as a tmpfs of this size (the text of tmpfs(5)), and makes
 * the directories. A failure is noted in s, and nothing is mounted then. On success s has the file system
 * and the mount points. */
int pool_mount_disk(const FileSystem *fs, const char *node, bool discard, const PoolLayout *layout,
                    Status *s);
int pool_mount_tmpfs(const char *size, const PoolLayout *layout, Status *s);

/* Makes what layout has and the mounted pool has not, and notes its mount points in s in place of those
 * before. A failure is noted in s. */
int pool_extend(const PoolLayout *layout, Status *s);

/* Makes the directory d in the mounted pool, or gives it this owner and mode. */
int pool_make_directory(const DirSpec *d);

/* The mounts in the order of their paths, in which none covers another; their count. */
size_t pool_sort(const PoolLayout *layout, const DirSpec *ret[static POOL_MOUNTS_MAX]);

/* Mounts the directory of the mounted pool on its own path below the directory root ("" for the system's
 * own), over what is mounted there, unless that is the pool. The path is made if it is not there, and
 * refused if others than root can bend it (place.h). Logs its errors. */
int pool_bind(const char *root, const DirSpec *d);

/* The same as pool_bind() in the place of an old pool, so that at no time a program gets what lies below it,
 * or where nothing is mounted. What somebody else has mounted stays on top, unless over. */
int pool_replace(const DirSpec *d, const OldPools *old, bool over);

/* A mount of the directory path of the mounted pool with the options of d, which is nowhere yet: a
 * descriptor. */
int pool_clone(const char *path, const DirSpec *d);

/* Mounts it on place (place.h), or instead of the mount that place is: below that first, which is then
 * detached. A kernel that cannot do this has the old one stay below the new one. */
int pool_attach(int tree, int place, bool instead);

/* Has the file system that is mounted on path, as of openat(2), write nothing any more, where it can (ext4,
 * xfs), not even when it is unmounted; whoever uses it gets I/O errors. */
void pool_abandon(int directory, const char *path);

/* Unmounts an old pool from path, as often as there is one on top. 1 if there was, 0 if not; what umount(2)
 * gives. What is somebody else's is left alone. */
int pool_unmount(const char *path, const OldPools *old);

/* Detaches the pool if it is mounted; what still uses it keeps it until then. */
void pool_detach(void);
