/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether a program that uses a path uses the pool: by what it gets there, whatever was mounted when and by
 * whom. The one notion of it for status, its exit status, is-encrypted and Fallback=fail. */

#include <sys/types.h>

#include "status.h"

/* The device number of the pool's file system. -ENOENT if none is mounted. */
int mounted_pool(dev_t *ret);

/* The device number of what is mounted on path itself, as the mount table has it, which for btrfs is not
 * that of stat(2); 0 if nothing is. */
dev_t mounted_at(const char *path);

/* The same of the mount that the descriptor fd is the root of, at path: also if something lies above or
 * below it. 0 if fd is a directory within a mount. */
dev_t mounted_by(int fd, const char *path);

/* That of the pool's mounts, also if its own mount point is not among them: then by the mapping, which does
 * not help with btrfs. 0 if there is no pool. */
dev_t mounted_number(const Status *s);

/* Whether path is on the pool, or in the overlay of /nix/store with its upper there: 1 or 0. Symlinks are
 * followed. Errors of stat(2), but for a path that the caller may not look up the mount table decides. */
int mounted_on(const char *path, dev_t pool);

/* Those of s->mounts and of more (NULL-terminated, or NULL), each once, that are not on the pool, all if
 * there is none: a NULL-terminated array of pointers into both, which the caller frees. The count of them,
 * or -ENOMEM. */
int mounted_missing(const Status *s, char **more, const char ***ret);

/* Whether anything but the pool's own mount still uses it: 1 or 0. By the mount table of this process.
 * -ENOENT if the pool is not mounted. */
int mounted_in_use(const Status *s);

struct libmnt_fs;

/* Whether a mount is an overlay with a layer below one of paths (NULL-terminated, or NULL), or on the pool
 * by its own mount point; or one below such a path with layers by relative names. */
bool mounted_overlay_names(struct libmnt_fs *fs, char **paths);

/* Whether a mount is the private /tmp or /var/tmp of a service (PrivateTmp=), by its name. */
bool mounted_is_private(struct libmnt_fs *fs);
