/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A directory to be made, as text: PATH[:MODE[:UID[:GID]]], as in "/scratch:1777". */

#include <sys/types.h>

#include "macro.h"

typedef struct DirSpec {
        char *path; /* owned; clean in the sense of path_is_clean(), without ":" */
        mode_t mode;
        uid_t uid;
        gid_t gid;
} DirSpec;

/* Mode defaults to 0755, owner to root; mode is octal, owners are numbers (an initrd has no user database).
 * -EINVAL if the text is no such thing, -ENOMEM. The caller calls dirspec_done(). */
int dirspec_parse(const char *text, DirSpec *ret);

/* The full text: "/scratch:1777:0:0". The caller frees it; NULL if out of memory. */
char *dirspec_format(const DirSpec *d);

void dirspec_done(DirSpec *d);
