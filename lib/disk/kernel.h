/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What of the kernel a set-up takes. Its modules are in the initrd or not, and the error that the kernel
 * gives for want of one does not say so. */

#include "status.h"

/* Looks, after a failure that is noted in s, for what that step takes of the kernel. Where a piece is
 * missing the reason becomes REASON_KERNEL, and the detail begins with the name of the module. */
void kernel_explain(const char *file_system, bool integrity, Status *s);

/* Whether text, the content of /proc/filesystems, has this one. */
bool kernel_lists_file_system(const char *text, const char *name);
