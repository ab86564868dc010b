/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Ways on which what is in the guest's memory, the volume key among it, gets to a disk in the clear. They
 * are the image's to choose and no failure, but with them something can outlive the VM.
 *
 * When: whenever the status is shown in the running guest. */

#include "macro.h"

#define LEAKS_MAX 3

/* Puts a sentence, a constant, for each that is configured into ret, and returns how many. root goes before
 * all paths, "" for the system's own. What cannot be read counts as not configured. */
size_t leaks_find(const char *root, const char *ret[static LEAKS_MAX]);

/* A sentence if the mounted pool is in RAM that gets to such a swap device, else NULL: before Linux 6.4 a
 * tmpfs cannot be kept from that. */
const char *leaks_find_pool(const char *root);

/* A sentence if nothing can tell that the virtual machine goes on from a snapshot, else NULL. */
const char *leaks_find_clone(const char *root);
