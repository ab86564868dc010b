/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* QEMU's command line (7.2 to 11): what of the user's matters here, and what is added at its end.
 *
 * Used on the host, before QEMU starts. */

#include "macro.h"

typedef struct QemuRequest {
        int image_fd;  /* as QEMU inherits it */
        int status_fd; /* likewise, where it writes what the guest reports; negative: nowhere */
        bool lock_memory;
        bool require_encrypted; /* the guest is told to power off instead of falling back */
} QemuRequest;

/* Returns the command and behind it all that was asked for, NULL-terminated, for the life of the process; or
 * NULL, logged. Warns of what cannot be as it is without the disk. */
char **qemu_extend(char *const *command, const QemuRequest *request);
