/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

/* The graph, of the services and the mounts. Both log their errors; what was written before one is left,
 * each file whole, and a unit that is there already costs itself alone. */

#include "writer.h"

int units_write(const Writer *w);

/* The part of the real root, for a pool that the initrd has made. */
int units_write_mounts(const Writer *w);
