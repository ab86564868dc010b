/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The steps by which the pool of a running system makes room for another one. */

#include "options.h"

/* Whether there is one that can be had anew, and nobody uses it, which with force is only told. Logs why
 * not: -EBUSY, -ENOENT. Nothing is changed. */
int renew_allow(const Options *o, const Status *before, bool force);

/* Destroys the key, detaches the pool, and puts the mapping aside for whoever still uses it, who gets I/O
 * errors. From here on a file tells that a renewal is under way. Logs its errors; where the disk does not
 * finish what was sent to it nothing is changed. */
int renew_begin(const Options *o, const Status *before);

/* Puts the mounts of the new pool in the place of the old one's, each at once, and removes the file. What
 * somebody else has mounted there stays. */
void renew_mounts(const Options *o);

/* The same in two steps, for a renewal that has failed at any point. After the first nothing of either pool
 * is mounted or mapped. In its result the bit of a directory is set if the old pool was mounted there. */
uint64_t renew_unmount(const Options *o);
void renew_remount(const Options *o, uint64_t places);
