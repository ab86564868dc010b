/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The verbs of the running system. All return 0 or -errno, and log their errors. */

#include "options.h"

/* ccvm-scratch-health.service, by its timer: whether the disk still works, and what was freed is given back
 * to the host. */
int life_health(const Options *o);

/* ccvm-scratch wipe: destroys the key now. */
int life_wipe(const Options *o);

/* ccvm-scratch-renew.service: the pool once more, empty and under a new key. */
int life_renew(const Options *o);

/* ccvm-scratch-recover.service: a renewal was begun and not finished. What was asked for without a disk. */
int life_recover(const Options *o);

/* ccvm-scratch-clone.service: waits until the virtual machine goes on from a snapshot, as often as it does,
 * and tells, renews or wipes. Returns after an error only. */
int life_watch(const Options *o);
