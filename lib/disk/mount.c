/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "mount.h"

#include <libmount.h>

DEFINE_TRIVIAL_CLEANUP_FUNC(struct libmnt_context *, mnt_free_context)

int mount_fs(const char *source, const char *target, const char *type, const char *options, Failure *f) {
        _cleanup_(mnt_free_contextp) struct libmnt_context *c = mnt_new_context();
        char message[256];
        int r;

        if (!c || mnt_context_disable_helpers(c, true) != 0 || mnt_context_disable_mtab(c, true) != 0 ||
            mnt_context_disable_canonicalize(c, true) != 0 || mnt_context_set_source(c, source) != 0 ||
            mnt_context_set_target(c, target) != 0 || mnt_context_set_options(c, options) != 0 ||
            mnt_context_set_fstype(c, type) != 0)
                return failure_set(f, REASON_INTERNAL, ENOMEM, "Failed to mount '%s'", target);
        r = mnt_context_mount(c);
        if (mnt_context_get_excode(c, r, message, sizeof(message)) == 0)
                return 0;
        return failure_set(f, REASON_MOUNT, 0, "Failed to mount '%s' on '%s' as %s with options '%s': %s",
                           source, target, type, options, message);
}
