/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Telling how it went: the status file, and one journal entry an outcome. */

#include "health.h"
#include "status.h"

/* Writes the status file alone: for a failure that the fallback is still to follow. */
int record_write(const Status *s);

/* Writes the status file and the journal entry with the state's MESSAGE_ID (units/ccvm-scratch.catalog), and
 * tells the host if it listens (report.h). */
int announce_outcome(const Status *s);

/* Looks at what is mounted now: 0 if the pool is what a program gets on each of s->mounts. Else one journal
 * entry names those that are missing, and the result is -ESTALE. -ENOMEM. A mount point that was refused is
 * not among them: a bad value fails no boot, not even with Fallback=fail. */
int announce_missing(const Status *s);

/* When the health of the pool is another one than at the last call, one journal entry says so. */
int announce_health(const Status *s, Health h);

/* What was told of a pool's health is not of the next one. */
void announce_forget_health(void);

/* Reads the status file. -ENOENT if there is none; the other errors of status_parse(). The caller calls
 * status_done(), also after an error. */
int record_read(Status *ret);

/* The same for those who have nothing to do without one: the errors are logged. */
int record_load(Status *ret);

/* And for those who have nothing to do without an encrypted one: 1 if it is, 0 if not. */
int record_load_encrypted(Status *ret);

/* Says in one line on the console that there is no encrypted disk, why (a reason of the status, and one line
 * of text; NULL if there is none), and what is done instead: whoever has started the VM in a terminal sees it
 * there. */
void announce_on_console(const char *reason, const char *detail, const char *what_now);

/* Says in the journal, and on the console, as the journal dies with the virtual machine, that it powers off
 * as Fallback=fail says, and why. Returns -ECANCELED, with which FailureAction= of the unit does it. */
int announce_power_off(const char *reason, const char *detail);
