/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The steps by which the pool of a running system makes room for another one. */

#include "options.h"

/* Whether there is one that can be had anew, and nobody uses it, which with force is only told. Logs why
 * not: -EBUSY, -ENOENT. Nothing is changed. */
int renew_allow(const Options *o, const Status *before, bool force);

/* Destroys the key, detaches the pool, and puts the mapping aside for whoever still uses it, who gets I/O
 * errors. From here on a file tells that a renewal is under way, and the status that there is no pool. Logs
 * its errors; where the disk does not finish what was sent to it nothing is changed. */
int renew_begin(const Options *o, const Status *before);

/* Puts the mounts of the new pool in the place of the old one's, which at no time is bare, also in the
 * namespaces of services, and removes the file. What somebody else has mounted there stays. */
void renew_mounts(const Options *o);

/* Ends a renewal that has failed at any point in what was asked for without a disk: first that pool, then
 * its mounts in the place of the old ones, then nothing is left mapped. What boot_fallback() returns. */
int renew_recover(const Options *o);
