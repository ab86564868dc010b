/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The verbs of ccvm-scratch-setup; each has a file, whose head says which unit runs it, and when. All
 * return a negative errno after a failure, and log their errors. */

#include "options.h"

/* The boot. */
int verb_encrypt(const Options *o);     /* encrypt.c */
int verb_close(const Options *o);       /* close.c */
int verb_fallback(const Options *o);    /* fallback.c */
int verb_mount(const Options *o);       /* directories.c */
int verb_directories(const Options *o); /* directories.c */
int verb_check(const Options *o);       /* check.c */

/* The running system. */
int verb_health(const Options *o);  /* health.c */
int verb_renew(const Options *o);   /* renew.c */
int verb_recover(const Options *o); /* recover.c */
int verb_watch(const Options *o);   /* watch.c */
int verb_wipe(const Options *o);    /* wipe.c */

/* The end. */
int verb_forget(const Options *o);   /* soft_reboot.c */
int verb_shutdown(const Options *o); /* shutdown.c */
