/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "wipe.h"

#include "clock.h"
#include "integrity.h"
#include "log.h"
#include "luks.h"
#include "mapping.h"
#include "mounted.h"
#include "pool.h"

#define WAIT_STEP 2U     /* seconds, until it is said what is waited for */
#define WAIT_TIMEOUT 10U /* seconds */

static int suspend_in_time(void) {
        for (unsigned waited = 0; waited < WAIT_TIMEOUT; waited += WAIT_STEP) {
                int r;

                interrupt_after(WAIT_STEP);
                r = mapping_suspend(LUKS_MAPPING);
                interrupt_after(0);
                if (r != -EINTR)
                        return r;
                if (waited == 0)
                        log_info("Waiting for the disk to finish what was sent to it.");
        }
        return -ETIMEDOUT;
}

/* The key that makes the tags, and these. */
static int wipe_integrity(Status *s) {
        int r = integrity_close(0);

        if (r >= 0)
                return 0;
        (void) status_fail(s, REASON_INTERNAL, r, "The key is destroyed, and the tags are not all removed");
        return 1;
}

/* Nothing ends the process in between but SIGKILL: whoever uses the mapping would wait for good. */
static int fail_in_time(uint64_t length) {
        sigset_t all, before;
        int r;

        (void) sigfillset(&all);
        (void) sigdelset(&all, SIGALRM);
        (void) sigprocmask(SIG_BLOCK, &all, &before);
        r = suspend_in_time();
        if (r >= 0)
                r = mapping_fail(LUKS_MAPPING, length);
        (void) sigprocmask(SIG_SETMASK, &before, NULL);
        return r;
}

int wipe_key(Status *s) {
        uint64_t length;
        int r;

        r = mapping_get_length(LUKS_MAPPING, &length);
        if (r == -ENODEV)
                return wipe_integrity(s);
        if (r >= 0)
                r = fail_in_time(length);
        if (r == -ETIMEDOUT)
                return status_fail(s, REASON_INTERNAL, 0,
                                   "The disk does not finish what was sent to it, and the kernel keeps the "
                                   "key until then; try again, or power off");
        return r < 0 ? status_fail(s, REASON_INTERNAL, r, "Failed to wipe the key") : wipe_integrity(s);
}

/* The overlay of /nix/store stays: its lower layer is what the system runs from. */
int wipe_mounts(const Status *before, Status *s) {
        OldPools old = { .numbers = { mounted_pool(before) }, .n = 1 };
        int r = 0, q;

        for (char **m = before->mounts; m && *m; m++) {
                q = pool_unmount(*m, &old);
                r = r < 0 ? r : q;
        }
        if (r >= 0)
                r = pool_unmount(POOL_DIRECTORY, &old);
        q = mapping_remove(LUKS_MAPPING);
        r = r < 0 ? r : q;
        return r < 0 ? status_fail(s, REASON_WIPED, r, "The key is destroyed, but not all mounts are gone")
                     : 0;
}
