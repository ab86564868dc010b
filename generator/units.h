/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The units that vary: drop-ins for the static ones in units/, and the mounts. */

#include "claims.h"
#include "config.h"

#define POOL "/run/ccvm-scratch/pool"

/* Where the units go, and what they stand beside. Everything is borrowed. */
typedef struct UnitsContext {
        const char *directory; /* an existing one, normally argv[1] of the generator */
        const char *root;      /* of the files that are looked at; "" is the system's own */
        const char *sysroot;   /* what stands before each mount point: "/sysroot" in the initrd, else "" */
        const Claims *claims;  /* what is somebody else's to mount: left to them, with a warning */
} UnitsContext;

/* Writes the graph for c. Logs its errors; what was written before one is left, each file whole. A unit that
 * is there already costs itself alone. */
int units_write(const Config *c, const UnitsContext *context);

/* The mounts of it alone, in the real root, for a pool that the initrd has made. */
int units_write_mounts(const Config *c, const UnitsContext *context);
