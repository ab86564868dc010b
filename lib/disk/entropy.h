/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Random numbers of this virtual machine's own. One that goes on from a snapshot has the state of the
 * kernel's generator in its memory, as all others that go on from it: for up to a minute they draw the same
 * numbers, unless a generation ID (vmgenid) tells the kernel. Not each hypervisor gives one.
 *
 * Used right before each key is drawn, in the boot and in a renewal. */

#include "device.h"

/* Mixes into the kernel's generator what tells this machine from its clones: clocks, names of the machine,
 * the disk's place and size, the addresses of network cards, and what a hardware generator gives. Then has
 * the kernel make a new seed of all that, with the CPU's own random numbers or else its cycle counter. What
 * is random already stays so. Takes 10 ms at most. What the kernel says. */
int entropy_renew(const Device *disk);

/* Writes what tells machines apart to fd. root is where /sys and /dev are, "" but in tests. What write(2)
 * says. */
int entropy_write(int fd, const char *root, const Device *disk);
