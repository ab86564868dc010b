/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The verbs of ccvm-scratch-setup; each has a file, whose head says which unit runs it, and when. All
 * return a negative errno after a failure, and log their errors. */

#include "config.h"

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
