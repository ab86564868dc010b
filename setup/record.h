/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The files in /run/ccvm-scratch: that the pool was set up in this boot, or that it was tried, and how it
 * went; and the lock of whatever makes, replaces or takes away the pool. All but lock_take() log their
 * errors.
 *
 * Used by each verb that makes, changes or ends the pool. */

#include "status.h"

/* Creates the marker of an attempt, of which there is one a boot: the initrd's targets are started two or
 * three times, and without the marker the second start would format the disk under the live pool. Its text
 * says where it was made: "initrd" or "system", which the generator of the real root reads. Before it writes
 * options, a config file's text, as what the pool is made for: that generator compares it with what it is
 * asked for. 1, or 0 with nothing changed if the marker is there already; else the errors of open(2). */
int record_claim(const char *options);

/* Writes s to the status file. */
int record_write(const Status *s);

/* Reads the status file. 1 if there is one; 0 if not, and then *ret is STATE_OFF. Else the errors of
 * open(2) and status_parse(). The caller calls status_done(), also after an error. */
int record_read(Status *ret);

/* Removes all files in the directory, as if nothing had been tried. */
int record_forget(void);

/* Takes the lock, and waits for it at most so many microseconds; held for the life of the process, or until
 * lock_release(). 0 also where there is nothing to be locked yet; -EBUSY, or the errors of open(2). */
int lock_take(uint64_t patience_usec);

void lock_release(void);
