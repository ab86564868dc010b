/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether a program that uses a path uses the pool: by what it gets there, whatever was mounted when and by
 * whom. The one notion of it for status, its exit status, is-encrypted, renew and Fallback=fail. A file
 * system is known by its number in the mount table of this process, which for btrfs is not that of stat(2).
 *
 * When: in the running guest, also in a service's own mount namespace, until the shutdown. */

#include <libmount.h>
#include <sys/types.h>

#include "status.h"

#define MOUNT_TABLE "/proc/self/mountinfo"

DEFINE_TRIVIAL_CLEANUP_FUNC(struct libmnt_table *, mnt_unref_table)
DEFINE_TRIVIAL_CLEANUP_FUNC(struct libmnt_iter *, mnt_free_iter)

#define _cleanup_table_ _cleanup_(mnt_unref_tablep)
#define _cleanup_iter_ _cleanup_(mnt_free_iterp)

/* Find the mount with this ID, and that of the file that the descriptor fd is, in the table; NULL if it is
 * not there. The result is the table's. */
struct libmnt_fs *mounted_find_id(struct libmnt_table *table, int id);
struct libmnt_fs *mounted_find(struct libmnt_table *table, int fd);

/* Returns the number of the pool's file system: of what is mounted on its own mount point, or if nothing
 * is, as somebody may have unmounted that alone, of the mapping in s, which does not help with btrfs. 0
 * if there is no pool. */
dev_t mounted_pool(const Status *s);

/* Returns the number of what is mounted on path itself; 0 if nothing is. */
dev_t mounted_at(const char *path);

/* Returns the number of the mount that the descriptor fd is the root of, at path: also if something lies
 * above or below it. 0 if fd is a directory within a mount. */
dev_t mounted_by(int fd, const char *path);

/* Tells whether path is on the file system pool, or in the overlay of /nix/store with its upper there: 1
 * or 0. Symlinks are followed. Errors of stat(2), but for a path that the caller may not look up the
 * mount table decides; -ENOMEM if that cannot be read. */
int mounted_on(const char *path, dev_t pool);

/* Finds those of s->mounts and of more (NULL-terminated, or NULL), each once, that are not on the pool,
 * all if there is none: *ret is a NULL-terminated array of pointers into both, which the caller frees.
 * Returns the count of them, or -ENOMEM. */
int mounted_missing(const Status *s, char **more, const char ***ret);

/* Tells whether anything but the pool's own mount still uses it: 1 or 0. -ENOENT if the pool is not
 * mounted, -ENOMEM. */
int mounted_in_use(const Status *s);

/* Tells whether fs is an overlay with a layer below one of paths (NULL-terminated, or NULL), or on the
 * pool by its own mount point; or one below such a path with layers by relative names. */
bool mounted_overlay_names(struct libmnt_fs *fs, char **paths);

/* Tells whether fs is the private /tmp or /var/tmp of a service (PrivateTmp=), by its name. */
bool mounted_is_private(struct libmnt_fs *fs);
