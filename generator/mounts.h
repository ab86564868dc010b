/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

/* The mounts: a bind of the pool for each path, and the overlay of /nix/store. */

#include "writer.h"

/* Writes their units, each for itself: what one of them runs into is no reason to do without the others. */
void mounts_write(Writer *w);
