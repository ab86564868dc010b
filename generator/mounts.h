/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

/* The mounts: a bind of the pool for each path, and the overlay of /nix/store.
 *
 * Used at each run of the generator, in the initrd and in the real root. */

#include "writer.h"

/* Writes their units, each for itself: what one of them runs into is no reason to do without the others. */
void mounts_write(Writer *w);
