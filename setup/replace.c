/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "replace.h"

#include "log.h"
#include "private.h"

void warn_of_manager(int r) {
        if (r < 0)
                (void) log_warning_errno(r, "The service manager does not follow what is mounted");
}

/* The outer ones first. A path that cannot be used costs itself. */
void replace_mounts(const Options *o, const OldPools *old) {
        const DirSpec *mounts[POOL_MOUNTS_MAX];
        size_t n = pool_sort(&o->layout, mounts);

        for (size_t i = 0; i < n; i++)
                (void) pool_replace(mounts[i], old, o->bind);
        private_replace(&o->layout, old);
}
