/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Cloud Hypervisor's command line (51 and later, which can be told that an image is raw: what it would have
 * to guess from an empty file, and then not let the guest write the first sector of).
 *
 * Its --disk, --cmdline and --platform may each be given only once, so they are extended where they stand.
 * The image goes by /proc/self/fd, since --disk takes no descriptor. There is no port for the guest's
 * report, and no locking of memory. */

#include "vmm.h"

/* Whether the command boots a kernel with a command line (--cmdline), which the marker can be added to. */
bool cloud_hypervisor_has_cmdline(char *const *command);

/* Extends the command by the disk and its marker. 0; -ENOMEM. */
int cloud_hypervisor_attach(Argv *command, const VmmRequest *request);
