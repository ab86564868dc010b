/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who uses the pool: processes with a file or directory of it, mounts of it other than its own, also in
 * other mount namespaces, overlays with a layer on it, loop devices, swap files and exports of NFS.
 *
 * When: in the running guest, before a renewal, and after one that was refused. */

#include "status.h"

/* Logs each at the syslog priority level, and how to stop the units among them. Returns how many there
 * are: 0 also if there is no pool; -ENOMEM, or -EIO if /proc cannot be read. Sees the processes of others
 * as root only. No user is a mount that goes with the pool's own, or is replaced with it: a copy in
 * another namespace, one below the pool's own, the private /tmp of a service. */
int users_tell(const Status *s, int level);
