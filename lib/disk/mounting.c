/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "mounting.h"

#include <libmount.h>

#include "macro.h"

DEFINE_TRIVIAL_CLEANUP_FUNC(struct libmnt_context *, mnt_free_context)

int mount_it(const char *source, const char *target, const char *type, const char *options, char *message) {
        _cleanup_(mnt_free_contextp) struct libmnt_context *c = mnt_new_context();
        int r;

        snprintf(message, MOUNT_MESSAGE_MAX, "Out of memory");
        if (!c || mnt_context_disable_helpers(c, true) != 0 || mnt_context_disable_mtab(c, true) != 0 ||
            mnt_context_disable_canonicalize(c, true) != 0 || mnt_context_set_source(c, source) != 0 ||
            mnt_context_set_target(c, target) != 0 || mnt_context_set_options(c, options) != 0 ||
            mnt_context_set_fstype(c, type) != 0)
                return -ENOMEM;
        r = mnt_context_mount(c);
        return mnt_context_get_excode(c, r, message, MOUNT_MESSAGE_MAX) == 0 ? 0 : -EIO;
}
