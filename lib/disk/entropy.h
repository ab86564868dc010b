/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Random numbers of this virtual machine's own. One that goes on from a snapshot has the state of the
 * kernel's generator in its memory, as all others that go on from it: for up to a minute they draw the same
 * numbers, unless a generation ID (vmgenid) tells the kernel. Not each hypervisor gives one.
 *
 * Used when the disk is set up, in the boot and in a renewal. Keys are in locked memory alone. */

#include "device.h"

/* A key, which is wiped at the end of its scope. The process has locked its memory (luks.c). */
typedef struct Key {
        uint8_t bytes[64];
} Key;

void key_wipe(Key *key);
#define _cleanup_key_ _cleanup_(key_wipe)

/* Draws size bytes of a new key, others than clones of this virtual machine draw. REASON_RNG: also if the
 * kernel's generator is not seeded within seconds. */
int key_make(const Device *disk, size_t size, Failure *f, Key *ret);

/* Writes what tells machines apart to f. root is where /sys and /dev are, "" but in tests. 0 or -EIO. */
int entropy_write(FILE *f, const char *root, const Device *disk);
