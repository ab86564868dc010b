/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Telling how it went: the status file, and one journal entry an outcome. */

#include "health.h"
#include "status.h"

/* Writes the status file alone: for a failure that the fallback is still to follow. */
int outcome_write(const Status *s);

/* Writes the status file and the journal entry with the state's MESSAGE_ID (units/ccvm-scratch.catalog), and
 * tells the host if it listens (host.h). */
int outcome_announce(const Status *s);

/* Looks at what is mounted now: 0 if the pool is what a program gets on each of s->mounts. Else one journal
 * entry names those that are missing, and the result is -ESTALE. -ENOMEM. A mount point that was refused is
 * not among them: a bad value fails no boot, not even with Fallback=fail. */
int outcome_check_mounts(const Status *s);

/* When the health of the pool is another one than at the last call, one journal entry says so. */
int outcome_note_health(const Status *s, Health h);

/* What was told of a pool's health is not of the next one. */
void outcome_forget_health(void);

/* status_read() for those who have nothing to do without a record: the errors are logged. */
int outcome_load(Status *ret);

/* And for those who have nothing to do without an encrypted one: 1 if it is, 0 if not. */
int outcome_load_encrypted(Status *ret);

/* Finishes s from what is known of the encrypted disk's unit, which has failed: its status file, and where
 * it did not come to write one, what the service manager tells of it in $MONITOR_… (systemd.exec(5)). */
void outcome_explain_failure(Status *s);
