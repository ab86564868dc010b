/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who uses the pool, in the running system: processes with a file or directory of it, mounts of it other
 * than its own, also in other mount namespaces, overlays with a layer on it, loop devices and swap files. */

#include "status.h"

/* Logs each at the syslog priority level. Returns how many there are: 0 also if there is no pool; -ENOMEM,
 * or what reading /proc gives. Sees the processes of others as root only. A mount in another namespace that
 * goes with the pool's own is no user. */
int users_tell(const Status *s, int level);
