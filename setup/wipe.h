/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Destroying the key while the VM runs: what is on the disk is noise from then on, for the guest too. Each
 * step can be done again after any failure. Both log their errors. */

#include "macro.h"

/* Puts an error target in the place of the cipher and its key; each access is an I/O error then. The kernel
 * first lets what was sent to the disk come to its end: that is waited for, with a message, for ten
 * seconds. 0 also if there is no mapping; 1 if the key is gone and something of the tags is not. After an
 * error all is as it was. */
int wipe_key(void);

/* Destroys the key and detaches the pool and its mounts; the mapping goes with its last user. The status
 * gets detail. -ENOENT if there is no encrypted pool; -EBUSY if the key is gone and something else is
 * not. */
int wipe_pool(const char *detail);
