/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Mounts by libmount, which knows the kernel's interfaces old and new, and its words for why it failed.
 *
 * Used when the pool is set up, on the disk or in RAM, and after a soft-reboot. */

#include "failure.h"

/* Mounts source, a file system of this type, on the directory target, whose path only root can change,
 * with options of mount(8). The mount table has source as it is given. No helper program is run, and no
 * file of libmount's is written. REASON_MOUNT. */
int mount_fs(const char *source, const char *target, const char *type, const char *options, Failure *f);
