/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where the kernel has no zram: a loop device over a file in a ramfs that is mounted nowhere. It is never
 * swapped, takes all of its size once that is written, and goes with its last user. */

#include <stdint.h>

#include "macro.h"

/* Makes the device, and gives its name, "loop0", for the caller to free. This process is its first user, to
 * its end. What the kernel says. */
int ramloop_make(uint64_t size, char **ret_name);
