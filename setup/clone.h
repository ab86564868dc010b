/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A virtual machine that goes on from a snapshot, and may not be the only one. The kernel notices, by a new
 * generation ID (vmgenid), and gives its random numbers a new seed. It tells no program: since Linux 6.9
 * there is no uevent of it. What there is is the line in its log. */

#include "macro.h"

/* The kernel's log, from now on, or -errno. The caller closes it. */
int clone_open(void);

/* Waits until the kernel has noticed, for ever. 0, or what read(2) gives. */
int clone_wait(int fd);

/* Whether a record of /dev/kmsg (Documentation/ABI/testing/dev-kmsg) is the kernel's word of it. */
bool clone_is_record(const char *record);
