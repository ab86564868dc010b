/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Telling how it went: one journal entry an outcome, with a MESSAGE_ID (units/ccvm-scratch.catalog), a line
 * on the console, and a line to the host. All log their errors.
 *
 * Used at the end of each attempt to set the pool up or to end it, and by the look at its health. */

#include "health.h"
#include "status.h"

/* Writes the status file, and announces its state in the journal and to the host. */
int announce_outcome(const Status *s);

/* Looks at what is mounted now: 0 if the pool is what a program gets on each of s->mounts. Otherwise a
 * journal entry names those that are missing, and the result is -ESTALE. A mount point that was refused is
 * not among them: a bad value fails no boot, not even with Fallback=fail. */
int announce_missing(const Status *s);

/* Announces the health of the pool, if it is another one than at the last call. */
int announce_health(const Status *s, Health h);

/* Forgets the last announced health, so that a new pool starts as healthy. */
void announce_forget_health(void);

/* Writes a line to the console that there is no encrypted disk, for a person who has started the VM in a
 * terminal. reason: of the status, detail: a line of text, each NULL if there is none; what_now: what is
 * done instead. */
void announce_on_console(const char *reason, const char *detail, const char *what_now);

/* Announces that Fallback=fail powers off now, and why, also on the console: the journal dies with the
 * virtual machine. Returns -ECANCELED, with which FailureAction= of the unit does it. */
int announce_power_off(const char *reason, const char *detail);
