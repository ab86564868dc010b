/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The device in RAM for all that dm-integrity keeps beside the data (Integrity=). The host cannot reach a
 * sector's tag there, so that a sector that it changes, moves or puts back as it was does not match.
 *
 * Each tag begins as 0xf6, dm-integrity's filler for discarded sectors, whose content is not checked: what
 * was never written can be read, and no sector has to be wiped.
 *
 * Made in the boot and in a renewal, before the mapping of dm-integrity, and removed after it.
 *
 * Used in the boot and in a renewal, with Integrity=; ended with the pool. */

#include "device.h"

/* Computes, from the text of /proc/meminfo, how many bytes the device can have so that all of it has room in
 * the RAM, whatever is written to it: at most half of the RAM, and at most what is free but for 64 MiB and
 * what a tmpfs of the other half may still take; at least a sixteenth of the RAM. */
uint64_t tags_room(const char *meminfo);

/* Makes a device of at least size bytes, all of them 0xf6 but for the first page, which is zero. A failure
 * leaves none. The caller calls device_done(). */
int tags_open(uint64_t size, Failure *f, Device *ret);

/* Removes the device that tags_open() has made in this boot, also in an earlier process. 0 also if there is
 * none; what the kernel says if something still uses it. */
int tags_close(void);
