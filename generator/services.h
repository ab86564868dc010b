/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

/* The graph: drop-ins for the static services in units/ with what depends on the system (order, time-outs,
 * what a failure does), the service that only systems with SELinux need, and the mounts (mounts.h). What the
 * services do is not in them: ccvm-scratch-setup reads the options itself.
 *
 * Used at each run of the generator, in the initrd and in the real root. */

#include "writer.h"

/* Writes what makes the pool, unless the initrd has, its mounts, and in the system what looks after it. What
 * one of them runs into is no reason to do without the others. */
void units_write(Writer *w);
