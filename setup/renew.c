/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "renew.h"

#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>

#include "boot.h"
#include "fileio.h"
#include "log.h"
#include "manager.h"
#include "mounted.h"
#include "outcome.h"
#include "parse.h"
#include "users.h"
#include "wipe.h"

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

/* The number of the pool that was is the file's text: its mounts are still to be replaced. */
static int note_beginning(dev_t pool) {
        _cleanup_free_ char *text = NULL;
        int r;

        if (asprintf(&text, "%" PRIu64, (uint64_t) pool) < 0)
                return log_oom();
        r = file_write_atomic(RENEWING_PATH, text, 0644);
        return r < 0 ? log_error_errno(r, "Failed to write '%s'", RENEWING_PATH) : 0;
}

static dev_t read_beginning(void) {
        _cleanup_free_ char *text = NULL;
        uint64_t pool;

        return file_read(RENEWING_PATH, KIB, &text) >= 0 && parse_unsigned(text, UINT64_MAX, &pool) >= 0
                       ? (dev_t) pool
                       : 0;
}

/* By any of its mounts: somebody may have unmounted the others. */
static void abandon(const PoolLayout *layout, dev_t pool) {
        pool_abandon(POOL_DIRECTORY);
        for (size_t i = 0; i < layout->n_mounts; i++) {
                _cleanup_free_ char *path = realpath(layout->mounts[i].path, NULL);
                if (path && pool != 0 && mounted_at(path) == pool)
                        pool_abandon(path);
        }
}

int renew_begin(const Options *o, const Status *before) {
        _cleanup_(status_done) Status s = {};
        dev_t pool = mounted_number(before);
        int r;

        r = note_beginning(pool);
        if (r < 0)
                return r;
        if (wipe_key(&s) < 0) {
                (void) unlink(RENEWING_PATH);
                log_error("%s", s.detail ?: "Out of memory");
                return -EIO;
        }
        outcome_forget_health();
        abandon(&o->layout, pool);
        pool_detach();
        r = luks_put_aside();
        return r < 0 ? log_error_errno(r, "Failed to put the mapping '%s' aside", LUKS_MAPPING) : 0;
}

/* Returns whether the old pool was mounted there. */
static bool unmount_old(const DirSpec *d, dev_t old) {
        int r = pool_unmount(d->path, old);

        if (r < 0)
                (void) log_error_errno(r, "Failed to unmount '%s'", d->path);
        return r > 0;
}

/* Where the old pool was, or over whatever is there if that is how the disk is mounted. What somebody else
 * has mounted stays on top. */
static void mount_new(const Options *o, const DirSpec *d, bool was_there) {
        _cleanup_free_ char *path = realpath(d->path, NULL);

        if (was_there || o->bind || !path || mounted_at(path) == 0)
                (void) pool_bind(d);
}

static void warn_of_manager(int r) {
        if (r < 0)
                (void) log_warning_errno(r, "The service manager does not follow what is mounted");
}

void renew_mounts(const Options *o) {
        dev_t old = read_beginning();

        /* With its last mount the old mapping goes. */
        warn_of_manager(manager_wait_for_mount(LUKS_NODE));
        for (size_t i = 0; i < o->layout.n_mounts; i++)
                mount_new(o, &o->layout.mounts[i], unmount_old(&o->layout.mounts[i], old));
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

static int wait_for_unmount(const Options *o, uint64_t places) {
        int r = manager_wait_for_unmount(POOL_DIRECTORY), q;

        for (size_t i = 0; i < o->layout.n_mounts; i++) {
                _cleanup_free_ char *path = realpath(o->layout.mounts[i].path, NULL);
                if (!path || !(places & UINT64_C(1) << i) || mounted_at(path) != 0)
                        continue;
                q = manager_wait_for_unmount(path);
                r = r < 0 ? r : q;
        }
        return r;
}

uint64_t renew_unmount(const Options *o) {
        dev_t old = read_beginning();
        int held[HELD_MAX];
        size_t n = hold_mappings(held);
        uint64_t places = 0;

        for (size_t i = 0; i < o->layout.n_mounts; i++)
                if (unmount_old(&o->layout.mounts[i], old))
                        places |= UINT64_C(1) << i;
        pool_detach();
        warn_of_manager(wait_for_unmount(o, places));
        (void) boot_take_down(o);
        while (n > 0)
                (void) safe_close(held[--n]);
        return places;
}

void renew_remount(const Options *o, uint64_t places) {
        bool pool = mounted_at(POOL_DIRECTORY) != 0; /* not with Fallback=none */

        for (size_t i = 0; pool && i < o->layout.n_mounts; i++)
                mount_new(o, &o->layout.mounts[i], places & UINT64_C(1) << i);
        (void) unlink(RENEWING_PATH);
}
