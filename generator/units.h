/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The units that vary: drop-ins for the static ones in units/, and the mounts. */

#include "config.h"

#define POOL "/run/ccvm-scratch/pool"

/* Writes the graph for c into directory (an existing one, normally argv[1] of the generator). sysroot is
 * what stands before each mount point: "/sysroot" in the initrd, else "". overlay: mount /nix/store too.
 * Logs its errors; what was written before one is left, each file whole. */
int units_write(const Config *c, const char *directory, const char *sysroot, bool overlay);

/* The mounts of it alone, in the real root, for a pool that is there already. */
int units_write_mounts(const Config *c, const char *directory, bool overlay);
