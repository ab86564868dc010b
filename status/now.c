/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "now.h"

#include <sys/statvfs.h>

#include "log.h"
#include "mounted.h"

#define NOT_SET_UP                                                                          \
        "A pool was asked for, and is not set up: a disk that is to be hot-plugged is not " \
        "there yet, or the boot has not come so far"
#define NOT_UNDERSTOOD "What was asked for was refused, and nothing is set up"

void now_done(Now *now) {
        status_done(&now->status);
        refusals_done(&now->refused);
        free(now->missing);
}

/* Where nothing was asked for there is no record, and that is a status too; as it is if something was
 * asked for, and set up not yet, or never. */
static int read_status(Status *ret) {
        const char *detail = NULL;
        int r;

        r = status_read(ret);
        if (r >= 0)
                return 0;
        if (r != -ENOENT)
                return log_error_errno(r, "Failed to read '%s'", STATUS_PATH);
        if (access(ATTEMPTED_PATH, F_OK) >= 0)
                return log_error_errno(r, "The pool was set up, but its status '%s' is gone", STATUS_PATH);
        if (access(CONFIG_PATH, F_OK) >= 0)
                detail = NOT_SET_UP;
        else if (access(REFUSED_PATH, F_OK) >= 0)
                detail = NOT_UNDERSTOOD;
        else
                return 0;
        ret->state = STATE_NONE;
        ret->detail = strdup(detail);
        return ret->detail ? 0 : log_oom();
}

/* Returns the bytes of the pool that are in use; 0 if there is none. */
static uint64_t read_used(void) {
        struct statvfs v;

        if (mounted_at(POOL_DIRECTORY) == 0 || statvfs(POOL_DIRECTORY, &v) < 0)
                return 0;
        return (uint64_t) (v.f_blocks - v.f_bfree) * v.f_frsize;
}

int now_load(Now *now) {
        int r;

        r = read_status(&now->status);
        if (r < 0)
                return r;
        now->health = health_read("", &now->status);
        now->used_bytes = read_used();
        r = refusals_load(&now->refused, REFUSED_PATH);
        if (r < 0)
                return log_error_errno(r, "Failed to read '%s'", REFUSED_PATH);
        refusals_list_paths(&now->refused, now->refused_paths);
        r = mounted_missing(&now->status, now->refused_paths, &now->missing);
        if (r < 0)
                return log_oom();
        now->n_missing = r;
        return 0;
}
