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
        bool nix_store; /* nix/store and nix/work, upper and work directory of an overlay */
} PoolLayout;

/* Mounts the pool from the block device node, or as a tmpfs of this size (the text of tmpfs(5)), and makes
 * the directories. A failure is noted in s, and nothing is mounted then. On success s has the file system
 * and the mount points. */
int pool_mount_disk(const FileSystem *fs, const char *node, bool discard, const PoolLayout *layout,
                    Status *s);
int pool_mount_tmpfs(const char *size, const PoolLayout *layout, Status *s);

/* Detaches the pool if it is mounted; what still uses it keeps it until then. */
void pool_detach(void);
