/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One mount in the place of another, so that the place is at no time bare.
 *
 * Used when a pool is replaced: in a renewal and a recovery. */

/* Puts the mount tree, which is nowhere yet, beneath the mount that place is the root of; path is where that
 * is mounted. 0, or what the kernel says. Before Linux 6.5 -EOPNOTSUPP if place lies on a mount that is not
 * shared (mount_namespaces(7)), which an administrator has made so, on the root of one, as the private
 * /var/tmp of a service does on the pool's, or on one that this process does not see; tree can then still be
 * used. -ESTALE if it came elsewhere, as place has been moved meanwhile. */
int beneath_attach(int tree, int place, const char *path);
