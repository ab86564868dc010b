/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "now.h"

#include <sys/statvfs.h>

#include "fileio.h"
#include "log.h"
#include "mounted.h"
#include "parse.h"

#define STATUS_MAX (64 * KIB)

void now_done(Now *now) {
        free(now->text);
        status_done(&now->status);
        refusals_done(&now->refused);
        free(now->missing);
}

#define NOT_SET_UP                                                                          \
        "A pool was asked for, and is not set up: a disk that is to be hot-plugged is not " \
        "there yet, or the boot has not come so far"
#define NOT_UNDERSTOOD "What was asked for was refused, and nothing is set up"

/* Something was asked for, and nobody has set it up: not yet, or never. */
static int format_none(const char *detail, char **ret) {
        return status_format(&(Status) { .state = STATE_NONE, .detail = (char *) detail }, ret);
}

/* The status text. Where nothing was asked for there is no file, and that is a status too. */
static int read_status(char **ret) {
        int r;

        r = file_read(STATUS_PATH, STATUS_MAX, ret);
        if (r == -ENOENT && access(ATTEMPTED_PATH, F_OK) >= 0)
                return log_error_errno(r, "The pool was set up, but its status '%s' is gone", STATUS_PATH);
        if (r == -ENOENT && access(CONFIG_PATH, F_OK) >= 0)
                return format_none(NOT_SET_UP, ret);
        if (r == -ENOENT && access(REFUSED_PATH, F_OK) >= 0)
                return format_none(NOT_UNDERSTOOD, ret);
        if (r == -ENOENT)
                return status_format(&(Status) { .state = STATE_OFF }, ret);
        if (r < 0)
                return log_error_errno(r, "Failed to read '%s'", STATUS_PATH);
        return 0;
}

/* Bytes of the pool that are in use; 0 if there is none. */
static uint64_t read_used(void) {
        struct statvfs v;
        dev_t pool;

        return mounted_pool(&pool) >= 0 && statvfs(POOL_DIRECTORY, &v) >= 0
                       ? (uint64_t) (v.f_blocks - v.f_bfree) * v.f_frsize
                       : 0;
}

int now_load(Now *now) {
        int r;

        r = read_status(&now->text);
        if (r < 0)
                return r;
        r = status_parse(now->text, &now->status);
        if (r < 0)
                return log_error_errno(r, "'%s' is no status", STATUS_PATH);
        now->health = health_read("", &now->status);
        now->used_bytes = read_used();
        r = refusals_load(&now->refused, REFUSED_PATH);
        if (r < 0)
                return log_error_errno(r, "Failed to read '%s'", REFUSED_PATH);
        refusals_list_paths(&now->refused, now->refused_paths);
        r = mounted_missing(&now->status, now->refused_paths, &now->missing);
        return r < 0 ? log_oom() : r;
}
