/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The RAM device for all that dm-integrity keeps beside the data (Integrity=). The host cannot reach a
 * sector's tag there, so that a sector that it changes, moves or puts back as it was does not match.
 *
 * Each tag begins as 0xf6, dm-integrity's filler for discarded sectors, whose content is not checked: what
 * was never written can be read, and no sector has to be wiped. */

#include "device.h"

/* Makes a device of at least size bytes, all of them 0xf6: a zram (zram.h), for a large disk with a snapshot
 * on it that is not filled before it is used (lazyfill.h), or where there is none a loop device in RAM
 * (ramloop.h). A failure is noted in s, and leaves none. The caller calls device_done(). */
int tags_make(uint64_t size, Status *s, Device *ret);

/* Takes away what tags_make() made in this boot, also in an earlier process; 0 also if there is none. What
 * the kernel says if something still uses it. */
int tags_remove(void);

/* At shutdown: the mappings go with their last user. A device in RAM goes with the RAM. */
int tags_remove_later(void);
