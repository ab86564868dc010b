/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A directory to be made and mounted, as text: PATH[:MODE[:UID[:GID[:OPTIONS]]]], as in "/scratch:1777". */

#include <sys/types.h>

#include "macro.h"

typedef struct DirSpec {
        char *path; /* owned; clean in the sense of path_is_clean(), without ":" */
        mode_t mode;
        uid_t uid;
        gid_t gid;
        bool dev, suid, noexec; /* as mount(8) means them; by default nodev, nosuid, exec */
} DirSpec;

/* Mode is octal and defaults to 0755, or to 1777 for /tmp and /var/tmp, which are everybody's
 * (file-hierarchy(7)); owners are numbers (an initrd has no user database) and default to root; OPTIONS are
 * dev, suid and noexec, joined by "+". An empty field is its default. -EINVAL if the text is no such thing,
 * -ENOMEM. The caller calls dirspec_done(). */
int dirspec_parse(const char *text, DirSpec *ret);

/* The full text: "/scratch:1777:0:0", with the options behind it if there are any. The caller frees it; NULL
 * if out of memory. */
char *dirspec_format(const DirSpec *d);

/* The options for mount(8) and libmount of a bind of the directory, where what it is bound from is mounted
 * nosuid,nodev: "bind", and what the entry lifts or adds. A constant. */
const char *dirspec_bind_options(const DirSpec *d);

void dirspec_done(DirSpec *d);
