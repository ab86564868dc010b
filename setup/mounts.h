/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The mounts of the pool: each of its directories on its own path, and the private /tmp and /var/tmp of
 * services on it (PrivateTmp= in systemd.exec(5)), each in the mount namespace of a service. All log their
 * errors; a mount point that cannot be used costs itself.
 *
 * Used in the initrd for a root without this package, at a hot-plug, in a renewal, a recovery and a wipe. */

#include <sys/types.h>

#include "config.h"

/* Pools that are gone while their mounts may not be, by the device numbers of these in the mount table
 * (mounted.h). */
typedef struct OldPools {
        dev_t numbers[8];
        size_t n;
} OldPools;

/* Adds number, unless it is 0; the last ones are kept. */
void old_pools_add(OldPools *old, dev_t number);

/* Reads and writes the file that keeps them as long as a renewal is under way, also one that was cut off. */
void old_pools_read(OldPools *old);
int old_pools_write(const OldPools *old);

/* Mounts the directories on their paths below the directory root ("" for the system's own), the outer ones
 * first, over what is mounted there, unless that is the pool. A path is made if it is not there, and
 * refused if others than root can bend it (place.h). */
void mounts_bind(const Config *c, const char *root);

/* Mounts the directories in the place of the old pools', which at no time is bare; the private directories
 * of services too, empty. What somebody else has mounted stays on top, unless over. */
void mounts_replace(const Config *c, const OldPools *old, bool over);

/* Shuts down the file systems of old pools that are mounted on the paths (pool_abandon()). */
void mounts_abandon(const Config *c, const OldPools *old);

/* Unmounts old pools from path, as often as there is one on top; what is somebody else's is left alone. 0,
 * or what umount(2) gives. */
int mounts_detach(const char *path, const OldPools *old);
