/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

/* The services: drop-ins for the static ones in units/, and what only some systems need. They log their
 * errors. */

#include "writer.h"

#define POOL "/run/ccvm-scratch/pool"
#define DIRECTORIES_SERVICE "ccvm-scratch-directories.service"

/* What makes the pool, pulled in by the boot and not by its mounts: also where none of them is left. */
int services_write(const Writer *w);

/* In the real root, when the mounts are made: the directories that an initrd did not know of, the check, and
 * what is below. */
int services_write_for_system(const Writer *w);

/* What a pool in the system has need of, however it comes: its end at a soft-reboot, and labels. */
int services_write_around_pool(const Writer *w);
