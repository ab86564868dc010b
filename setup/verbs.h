/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The verbs of ccvm-scratch-setup; each has a file, whose head says which unit runs it, and when. All
 * return a negative errno after a failure, and log their errors.
 *
 * Called by main.c, when a unit starts. */

#include "config.h"
#include "status.h"

/* The boot. */
int verb_encrypt(const Config *c);  /* encrypt.c */
int verb_close(const Config *c);    /* close.c */
int verb_fallback(const Config *c); /* fallback.c */
/* Of the system whose directory is root, "" for this one. */
int verb_mount(const Config *c, const char *root); /* directories.c */
int verb_directories(const Config *c);             /* directories.c */
int verb_check(const Config *c);                   /* check.c */

/* The running system. */
int verb_health(const Config *c);  /* health.c */
int verb_renew(const Config *c);   /* renew.c */
int verb_recover(const Config *c); /* recover.c */
int verb_watch(const Config *c);   /* watch.c */
int verb_wipe(const Config *c);    /* wipe.c */

/* The end. */
int verb_forget(const Config *c);   /* soft_reboot.c */
int verb_shutdown(const Config *c); /* shutdown.c */

/* What they share; all log their errors. */

/* Makes the encrypted pool on the disk and mounts it; no marker is looked at. A failure leaves nothing
 * behind. The outcome is in s and in the status file, and a success is announced. encrypt.c */
int encrypt_disk(const Config *c, Status *s);

/* Removes the mapping, and what is below it. Whoever uses it gets I/O errors. encrypt.c */
int close_disk(void);

/* Puts an error target in the place of the cipher and its key; each access is an I/O error then. The kernel
 * first lets what was sent to the disk come to its end: that is waited for, with a message, for ten
 * seconds. 0 also if there is no mapping; 1 if the key is gone and something of the tags is not. After an
 * error all is as it was; each step can be done again. wipe.c */
int wipe_key(void);

/* Destroys the key and detaches the pool and its mounts; the mapping goes with its last user. The status
 * gets detail. -ENOENT if there is no encrypted pool; -EBUSY if the key is gone and something else is
 * not. wipe.c */
int wipe_pool(const char *detail);
