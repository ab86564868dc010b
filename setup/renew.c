/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "renew.h"

#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>

#include "boot.h"
#include "clock.h"
#include "fileio.h"
#include "log.h"
#include "manager.h"
#include "mounted.h"
#include "outcome.h"
#include "parse.h"
#include "place.h"
#include "private.h"
#include "users.h"
#include "wipe.h"

#define WAIT_USEC (3 * USEC_PER_SEC) /* for the service manager, in all */

static int refuse_users(const Status *before, bool force) {
        int n = users_tell(before, force ? LOG_NOTICE : LOG_ERR);

        if (n < 0)
                return log_error_errno(n, "Failed to look for users of the scratch pool");
        if (n == 0 || force)
                return 0;
        log_error("The scratch pool is in use, and stays as it is. With --force whoever uses it gets I/O "
                  "errors.");
        return -EBUSY;
}

int renew_allow(const Options *o, const Status *before, bool force) {
        if (before->state == STATE_OFF) {
                log_error("There is no scratch disk to renew: none was asked for.");
                return -ENOENT;
        }
        if (o->layout.nix_store) {
                log_error(
                        "The writable layer of /nix/store is on the scratch pool (NixStore=), and cannot be "
                        "taken from a running system. Reboot for a new key.");
                return -EBUSY;
        }
        if (!filesystem_has_program(o->file_system)) {
                log_error("There is no mkfs.%s in $PATH: the scratch pool stays as it is. Install it in the "
                          "image.",
                          filesystem_name(o->file_system));
                return -ENOENT;
        }
        return refuse_users(before, force);
}

/* Of a renewal that was cut off the pools are still to be replaced too. */
static void read_beginning(OldPools *old) {
        _cleanup_free_ char *text = NULL;
        uint64_t number;

        if (file_read(RENEWING_PATH, KIB, &text) < 0)
                return;
        for (char *save, *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
                if (parse_unsigned(word, UINT64_MAX, &number) >= 0)
                        old_pools_add(old, number);
}

static int note_beginning(const OldPools *old) {
        char text[ELEMENTSOF(old->numbers) * 21 + 1] = "";
        int r;

        for (size_t i = 0, l = 0; i < old->n; i++)
                l += sprintf(text + l, "%" PRIu64 " ", (uint64_t) old->numbers[i]);
        r = file_write_atomic(RENEWING_PATH, text, 0644);
        return r < 0 ? log_error_errno(r, "Failed to write '%s'", RENEWING_PATH) : 0;
}

/* By any of its mounts: somebody may have unmounted the others. */
static void abandon(const PoolLayout *layout, const OldPools *old) {
        pool_abandon(AT_FDCWD, POOL_DIRECTORY);
        for (size_t i = 0; i < layout->n_mounts; i++) {
                _cleanup_free_ char *path = NULL;
                _cleanup_close_ int place = place_open("", layout->mounts[i].path, false, &path);
                if (place >= 0 && old_pools_have(old, mounted_by(place, path)))
                        pool_abandon(place, ".");
        }
}

/* Until there is another pool. */
static void tell_there_is_none(const Status *before) {
        (void) outcome_write(&(Status) { .state = STATE_NONE,
                                         .mounts = before->mounts,
                                         .detail = (char *) "The key was destroyed for a renewal, which has "
                                                            "not come to its end" });
}

int renew_begin(const Options *o, const Status *before) {
        _cleanup_(status_done) Status s = {};
        OldPools old = {};
        bool begun = access(RENEWING_PATH, F_OK) >= 0;
        int r;

        read_beginning(&old);
        old_pools_add(&old, mounted_pool(before));
        r = note_beginning(&old);
        if (r < 0)
                return r;
        r = wipe_key(&s);
        if (r < 0) {
                if (!begun)
                        (void) unlink(RENEWING_PATH);
                log_error("%s", s.detail ?: "Out of memory");
                return -EIO;
        }
        if (r > 0)
                log_warning("%s.", s.detail ?: "Out of memory");
        tell_there_is_none(before);
        outcome_forget_health();
        abandon(&o->layout, &old);
        pool_detach();
        r = luks_put_aside();
        return r < 0 ? log_error_errno(r, "Failed to put the mapping '%s' aside", LUKS_MAPPING) : 0;
}

static void warn_of_manager(int r) {
        if (r < 0)
                (void) log_warning_errno(r, "The service manager does not follow what is mounted");
}

/* The outer ones first. A path that cannot be used costs itself. */
static void replace(const Options *o, const OldPools *old) {
        const DirSpec *mounts[POOL_MOUNTS_MAX];
        size_t n = pool_sort(&o->layout, mounts);

        for (size_t i = 0; i < n; i++)
                (void) pool_replace(mounts[i], old, o->bind);
        private_replace(&o->layout, old);
}

void renew_mounts(const Options *o) {
        OldPools old = {};

        read_beginning(&old);
        /* With its last mount the old mapping goes. */
        warn_of_manager(manager_wait_for_device(LUKS_NODE, now_usec() + WAIT_USEC));
        replace(o, &old);
        (void) unlink(RENEWING_PATH);
}

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
        uint64_t end = now_usec() + WAIT_USEC;
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
static void unmount(const Options *o, const OldPools *old) {
        for (size_t i = 0; i < o->layout.n_mounts; i++) {
                int r = pool_unmount(o->layout.mounts[i].path, old);
                if (r < 0)
                        (void) log_error_errno(r, "Failed to unmount '%s'", o->layout.mounts[i].path);
        }
}

#define SETTLE_USEC (2 * USEC_PER_SEC)
#define SETTLE_PAUSE_USEC 20000U

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

int renew_recover(const Options *o) {
        bool on_pool[POOL_MOUNTS_MAX] = {};
        OldPools old = {};
        int held[HELD_MAX], r;
        size_t n;

        read_beginning(&old);
        old_pools_add(&old, mounted_at(POOL_DIRECTORY));
        (void) note_beginning(&old);
        pool_detach();
        r = boot_fallback(o);
        /* Until the power is off what is there fails: nothing lands below it. */
        if (o->mode_fail)
                return r;
        n = hold_mappings(held);
        if (mounted_at(POOL_DIRECTORY) != 0) {
                replace(o, &old);
                for (size_t i = 0; i < o->layout.n_mounts; i++)
                        on_pool[i] = is_on_pool(&o->layout.mounts[i]);
                warn_of_manager(wait_for_manager(o));
        } else if (o->mode == STATE_NONE)
                unmount(o, &old);
        (void) boot_take_down(o);
        while (n > 0)
                (void) safe_close(held[--n]);
        if (manager_is_there())
                keep_mounted(o, on_pool);
        (void) unlink(RENEWING_PATH);
        return r;
}
