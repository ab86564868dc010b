/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The pool: one file system, on the disk or in RAM, with a directory for each mount point. A failure is
 * noted in s, where a function has one, and is logged by the caller.
 *
 * Used in the boot, in a renewal, and at the end of the pool. */

#include "config.h"
#include "filesystem.h"
#include "status.h"

/* The source of a pool on the disk in the mount table: a link to the mapping. PID 1 takes a source below
 * /dev for one of its .device units, and when that device goes it stops the mount units that once had this
 * source: also if another pool is mounted there by then. */
#define POOL_SOURCE STATUS_DIRECTORY "/mapping"

/* Mounts the file system of the mapping as the pool. */
int pool_mount(const FileSystem *fs, bool discard, Status *s);

/* Mounts the file system of the mapping, or a tmpfs of FallbackSize=, as the pool, and makes the
 * directories. After a failure nothing is mounted. On success s has the file system and the mount points. */
int pool_mount_disk(const Config *c, Status *s);
int pool_mount_tmpfs(const Config *c, Status *s);

/* Makes the directories that the mounted pool is to have and has not: "/scratch" of Mounts= becomes
 * POOL_DIRECTORY/scratch, and with NixStore= nix/store and nix/work are upper and work directory of an
 * overlay. Notes the mount points in s in place of those before. */
int pool_extend(const Config *c, Status *s);

/* Makes the directory d in the mounted pool, or gives it this owner and mode. The errors of place_open()
 * and chown(2). */
int pool_make_directory(const DirSpec *d);

/* Shuts the file system that is mounted on path, as of openat(2), down without flushing (ext4, xfs): what
 * is not on the disk yet is lost, and whoever uses it gets I/O errors. */
void pool_abandon(int directory, const char *path);

/* Detaches the pool if it is mounted; whoever still uses it keeps it until then. */
void pool_detach(void);
