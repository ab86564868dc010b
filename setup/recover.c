/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The verb recover, of ccvm-scratch-recover.service: ends a renewal that was begun and not finished, in what
 * was asked for without a disk.
 *
 * When: after ccvm-scratch-renew.service has failed. Never: takes away an old mount before there is another
 * one in its place. */

#include "verbs.h"

#include <fcntl.h>
#include <glob.h>

#include "announce.h"
#include "clock.h"
#include "log.h"
#include "manager.h"
#include "mounted.h"
#include "old_pools.h"
#include "place.h"
#include "replace.h"
#include "set_up.h"

#define SETTLE_USEC (2 * USEC_PER_SEC)
#define SETTLE_PAUSE_USEC 20000U

/* Keeps the mappings for as long as they are open: how many of them are in fds. */
#define HELD_MAX 8

static size_t hold_mappings(int fds[static HELD_MAX]) {
        glob_t found = {};
        size_t n = 0;

        if (glob("/dev/mapper/" LUKS_MAPPING "-old-*", GLOB_NOSORT, NULL, &found) == 0)
                for (size_t i = 0; i < found.gl_pathc && n < HELD_MAX - 1; i++)
                        fds[n++] = open(found.gl_pathv[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        globfree(&found);
        fds[n++] = open(LUKS_NODE, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        return n;
}

/* Until the manager has seen the tmpfs in each place of the old pool. */
static int wait_for_manager(const Options *o) {
        uint64_t end = now_usec() + MANAGER_WAIT_USEC;
        dev_t pool = mounted_at(POOL_DIRECTORY);
        int r = manager_wait_for_mount(POOL_DIRECTORY, POOL_TMPFS, end);

        for (size_t i = 0; r >= 0 && i < o->layout.n_mounts; i++) {
                _cleanup_free_ char *path = NULL;
                _cleanup_close_ int place = place_open("", o->layout.mounts[i].path, false, &path);
                if (place >= 0 && mounted_at(path) == pool)
                        r = manager_wait_for_mount(path, POOL_TMPFS, end);
        }
        return r;
}

/* Without a pool, where none was asked for, nothing of an old one stays. */
static void unmount_all(const Options *o, const OldPools *old) {
        for (size_t i = 0; i < o->layout.n_mounts; i++) {
                int r = pool_unmount(o->layout.mounts[i].path, old);
                if (r < 0)
                        (void) log_error_errno(r, "Failed to unmount '%s'", o->layout.mounts[i].path);
        }
}

static bool is_on_pool(const DirSpec *d) {
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int place = place_open("", d->path, false, &path);

        return place >= 0 && mounted_at(path) == mounted_at(POOL_DIRECTORY);
}

/* Mounts once more what the service manager unmounts: a mount unit that has once been bound to a device
 * stays so until the manager is reloaded, and is stopped with it, whatever is mounted there by then. */
static void keep_mounted(const Options *o, const bool *on_pool) {
        uint64_t end = now_usec() + SETTLE_USEC;

        while (now_usec() < end) {
                for (size_t i = 0; i < o->layout.n_mounts; i++)
                        if (on_pool[i] && !is_on_pool(&o->layout.mounts[i]))
                                (void) pool_bind("", &o->layout.mounts[i]);
                (void) usleep(SETTLE_PAUSE_USEC);
        }
}

int verb_recover(const Options *o) {
        bool on_pool[POOL_MOUNTS_MAX] = {};
        OldPools old = {};
        int held[HELD_MAX], r;
        size_t n;

        old_pools_read(&old);
        old_pools_add(&old, mounted_at(POOL_DIRECTORY));
        (void) old_pools_write(&old);
        pool_detach();
        r = verb_fallback(o);
        /* Until the power is off what is there fails: nothing lands below it. */
        if (o->mode_fail)
                return r;
        n = hold_mappings(held);
        if (mounted_at(POOL_DIRECTORY) != 0) {
                replace_mounts(o, &old);
                for (size_t i = 0; i < o->layout.n_mounts; i++)
                        on_pool[i] = is_on_pool(&o->layout.mounts[i]);
                warn_of_manager(wait_for_manager(o));
        } else if (o->mode == STATE_NONE)
                unmount_all(o, &old);
        (void) take_down_pool(o);
        while (n > 0)
                (void) safe_close(held[--n]);
        if (manager_is_there())
                keep_mounted(o, on_pool);
        (void) unlink(RENEWING_PATH);
        return r;
}
