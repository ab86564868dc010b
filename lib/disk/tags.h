/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The RAM device for all that dm-integrity keeps beside the data (Integrity=). The host cannot reach a
 * sector's tag there, so that a sector that it changes, moves or puts back as it was does not match.
 *
 * Each tag begins as 0xf6, dm-integrity's filler for discarded sectors, whose content is not checked: what
 * was never written can be read, and no sector has to be wiped. */

#include "device.h"

/* How many bytes the device can have, so that all of it has room in the RAM whatever is written to it, by
 * the text of /proc/meminfo: at most half of the RAM, and at most what is free but for what a tmpfs of the
 * other half may still take and 64 MiB; at least a sixteenth of the RAM. */
uint64_t tags_room(const char *meminfo);

/* The same as it is now. What reading the file gives. */
int tags_read_room(uint64_t *ret);

/* Makes a device of at least size bytes, all of them 0xf6: a zram (zram.h), or where there is none a loop
 * device in RAM (ramloop.h), which takes it all from the start. A failure is noted in s, and leaves none.
 * The caller calls device_done(). */
int tags_make(uint64_t size, Status *s, Device *ret);

/* Takes away what tags_make() made in this boot, also in an earlier process; 0 also if there is none. What
 * the kernel says if something still uses it. */
int tags_remove(void);
