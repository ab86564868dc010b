/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "boot.h"

#include <fcntl.h>

#include "attempt.h"
#include "clock.h"
#include "clone.h"
#include "device.h"
#include "discard.h"
#include "integrity.h"
#include "kernel.h"
#include "log.h"
#include "outcome.h"
#include "trim.h"

/* A failure is noted in s and leaves nothing behind. */
static int try_set_up(const Options *o, Status *s) {
        _cleanup_(device_done) Device device = {};
        Stopwatch watch = stopwatch_start();
        bool discarded;
        int r;

        r = device_find(o->serial, filesystem_size_min(o->file_system) + LUKS_OVERHEAD, s, &device);
        s->timings_usec[TIMING_WAIT] = stopwatch_lap(&watch);
        if (r < 0)
                return r;
        device_limit_queue(&device);
        discarded = !o->luks.discard || discard_disk(&device);
        s->timings_usec[TIMING_FORMAT] = stopwatch_lap(&watch);

        /* Whoever watches for clones may not be there, and a pool without it is better than none. */
        r = clone_note_key();
        if (r < 0)
                (void) log_warning_errno(r, "Failed to say in the kernel's log that there is a new key");
        r = luks_open(&device, &o->luks, s);
        if (r < 0)
                return r;

        (void) stopwatch_lap(&watch);
        r = filesystem_make(o->file_system, LUKS_NODE, s);
        s->timings_usec[TIMING_MKFS] = stopwatch_lap(&watch);
        if (r >= 0)
                r = pool_mount_disk(o->file_system, LUKS_NODE, o->luks.discard, &o->layout, s);
        s->timings_usec[TIMING_MOUNT] = stopwatch_lap(&watch);
        if (r < 0)
                (void) luks_close(device.number);
        /* What is written and freed before the first look leaves as much free as there was. */
        else if (discarded && !filesystem_trims(o->file_system))
                trim_note_all();
        return r;
}

/* From the disk to the mounted pool, likewise. */
static int set_up(const Options *o, Status *s) {
        int r = try_set_up(o, s);

        if (r < 0)
                kernel_explain(filesystem_name(o->file_system), o->luks.integrity, s);
        return r;
}

/* For the fallback, which is still to follow. */
static int fail(const Status *s, int r) {
        log_error("%s: %s", reason_to_string(s->reason), s->detail ?: "out of memory");
        (void) outcome_write(s);
        return r;
}

/* A disk that is hot-plugged comes when all else is mounted. A mount point that cannot be used costs itself,
 * and is told of. */
static int mount_directories(const Options *o, const Status *s) {
        const DirSpec *mounts[POOL_MOUNTS_MAX];
        size_t n = pool_sort(&o->layout, mounts);

        if (!o->bind)
                return 0;
        for (size_t i = 0; i < n; i++)
                (void) pool_bind("", mounts[i]);
        return outcome_check_mounts(s);
}

/* What cannot be mounted costs itself: a root that is read-only has to bring the directory. */
int boot_mount(const Options *o) {
        const DirSpec *mounts[POOL_MOUNTS_MAX];
        size_t n = pool_sort(&o->layout, mounts);

        for (size_t i = 0; i < n; i++)
                (void) pool_bind(o->root, mounts[i]);
        return 0;
}

int boot_set_up(const Options *o, Status *s) {
        Stopwatch watch = stopwatch_start();
        int r = set_up(o, s);

        s->timings_usec[TIMING_TOTAL] = stopwatch_lap(&watch);
        if (r < 0)
                return fail(s, r);
        s->state = STATE_ENCRYPTED;
        /* The pool is good without its status; a second one in RAM over it would not be. */
        (void) outcome_announce(s);
        return 0;
}

int boot_encrypt(const Options *o) {
        _cleanup_(status_done) Status s = { .state = STATE_NONE };
        int r;

        r = attempt_claim();
        if (r == -EEXIST)
                return log_error_errno(r,
                                       "The pool was set up in this boot already; refusing to do it again");
        if (r < 0)
                return fail(&s, status_fail(&s, REASON_INTERNAL, r, "Failed to mark the attempt"));
        r = boot_set_up(o, &s);
        if (r >= 0)
                (void) mount_directories(o, &s);
        return r;
}

/* Writes one line to the console: whoever has started the VM in a terminal sees it there, and with
 * Fallback=fail the journal dies with the VM. what_now: what is done instead. */
static void tell_console(const char *reason, const char *detail, const char *what_now) {
        _cleanup_close_ int fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

        if (fd >= 0)
                dprintf(fd, "\r\nccvm-scratch: no encrypted scratch disk (%s): %s; %s\r\n",
                        reason ?: "no reason", detail ?: "no detail", what_now);
}

int boot_power_off(const char *reason, const char *detail) {
        log_error("Powering off, as Fallback=fail says.");
        tell_console(reason, detail, "powering off, as Fallback=fail says");
        return -ECANCELED;
}

/* If there is no RAM for it either, the reason stays why the disk failed, and the detail tells both. */
static int fall_back_to_ram(const Options *o, Status *s) {
        _cleanup_free_ char *disk = s->detail ? strdup(s->detail) : NULL;
        Reason reason = s->reason;
        int r;

        /* A run that was killed may not have given back what it had of the RAM. */
        if (access(TAGS_PATH, F_OK) >= 0)
                (void) integrity_close(0);
        r = pool_mount_tmpfs(o->size, &o->layout, s);
        if (r >= 0)
                return 0;
        log_error("%s", s->detail ?: "out of memory");
        s->state = STATE_NONE;
        if (reason != REASON_NONE)
                (void) status_fail(s, reason, 0, "%s; and in its place: %s", disk ?: "no detail",
                                   s->detail ?: "no detail");
        return r;
}

int boot_fallback(const Options *o) {
        _cleanup_(status_done) Status s = { .state = o->disk ? o->mode : STATE_OFF };
        int r;

        if (o->disk)
                outcome_explain_failure(&s);

        /* Sticky: a disk that comes later is left alone. After a failure the marker is there already. */
        r = attempt_claim();
        if (r < 0 && r != -EEXIST)
                (void) log_warning_errno(r, "Failed to mark the attempt");

        r = o->mode == STATE_TMPFS ? fall_back_to_ram(o, &s) : 0;
        (void) outcome_announce(&s);
        if (o->mode_fail)
                return boot_power_off(reason_to_string(s.reason), s.detail);
        if (o->disk)
                tell_console(reason_to_string(s.reason), s.detail,
                             s.state == STATE_TMPFS ? "using RAM instead" : "going on without");
        return r;
}

int boot_directories(const Options *o) {
        _cleanup_(status_done) Status s = {};
        int r;

        r = outcome_load(&s);
        if (r < 0)
                return r;
        r = pool_extend(&o->layout, &s);
        if (r < 0)
                return log_error_errno(r, "%s", s.detail ?: "Out of memory");
        return outcome_write(&s);
}

int boot_check(const Options *o) {
        _cleanup_(status_done) Status s = {};
        int r;

        r = outcome_load(&s);
        if (r < 0)
                return o->mode_fail
                               ? boot_power_off("no status", "nobody has set the pool up, or said why not")
                               : r;
        r = outcome_check_mounts(&s);
        /* The initrd may have fallen back before anybody told it not to. */
        if (o->mode_fail && s.state == STATE_TMPFS)
                return boot_power_off(reason_to_string(s.reason), s.detail);
        return r < 0 && o->mode_fail ? boot_power_off("mounts missing", "the journal names them") : r;
}

int boot_take_down(const Options *o) {
        dev_t disk = 0;
        int r;

        (void) device_find_number(o->serial, &disk);
        r = luks_close(disk);
        return r < 0 ? log_error_errno(r, "Failed to remove the mapping '%s'", LUKS_MAPPING) : 0;
}

/* An ordinary stop, as at shutdown, leaves the pool to whoever still uses it. */
int boot_close(const Options *o) {
        const char *result = getenv("SERVICE_RESULT");

        if (result && streq(result, "success"))
                return 0;
        pool_detach();
        return boot_take_down(o);
}
