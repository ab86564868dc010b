/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An entry of Mounts= in full, to compare with. */

#include "dirspec.h"

/* Formats d as "/scratch:1777:0:0", with the options behind it if there are any. The caller frees it. */
static inline char *dirspec_format(const DirSpec *d) {
        const char *const words[] = { d->dev ? "dev" : NULL, d->suid ? "suid" : NULL,
                                      d->noexec ? "noexec" : NULL };
        char options[32] = "", *s;

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (words[i]) {
                        strcat(options, options[0] ? "+" : ":");
                        strcat(options, words[i]);
                }
        return asprintf(&s, "%s:%04o:%u:%u%s", d->path, d->mode, d->uid, d->gid, options) < 0 ? NULL : s;
}
