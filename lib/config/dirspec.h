/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A directory to be made and mounted, as text: PATH[:MODE[:UID[:GID[:OPTIONS]]]], as in "/scratch:1777".
 *
 * Used by the generator, at each of its runs, and when the pool is mounted. */

#include <sys/types.h>

#include "macro.h"

typedef struct DirSpec {
        char *path; /* owned; clean in the sense of path_is_clean(), without ":" */
        mode_t mode;
        uid_t uid;
        gid_t gid;
        bool dev, suid, noexec; /* as mount(8) means them; by default nodev, nosuid, exec */
} DirSpec;

/* Parses text. The mode is octal and defaults to 0755, or to 1777 for /tmp and /var/tmp, which are
 * everybody's (file-hierarchy(7)); owners are numbers (an initrd has no user database) and default to root;
 * OPTIONS are dev, suid and noexec, joined by "+". An empty field is its default. -EINVAL if the text is no
 * such thing. The caller calls dirspec_done(). */
int dirspec_parse(const char *text, DirSpec *ret);

void dirspec_done(DirSpec *d);
