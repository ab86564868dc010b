/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* fallback, of ccvm-scratch-tmpfs.service: a pool in RAM, or none, as was asked for.
 *
 * When: in the boot, after ccvm-scratch-luks.service has failed, or in its place if no disk was asked for;
 * for a renewal that has failed, recover.c calls it. It must never mount over a pool that is there. */

#include "verbs.h"

#include "announce.h"
#include "integrity.h"
#include "log.h"
#include "pool.h"
#include "record.h"

/* If there is no RAM for it either, the reason stays why the disk failed, and the detail tells both. */
static int fall_back_to_ram(const Config *c, Status *s) {
        _cleanup_free_ char *disk = s->detail ? strdup(s->detail) : NULL;
        Reason reason = s->reason;
        int r;

        /* A run that was killed may not have given back what it had of the RAM. */
        if (access(TAGS_PATH, F_OK) >= 0)
                (void) integrity_close();
        r = pool_mount_tmpfs(c, s);
        if (r >= 0)
                return 0;
        log_error("%s", s->detail ?: "out of memory");
        s->state = STATE_NONE;
        if (reason != REASON_NONE)
                (void) status_fail(s, reason, 0, "%s; and in its place: %s", disk ?: "no detail",
                                   s->detail ?: "no detail");
        return r;
}

/* Takes what the failed attempt has written of the disk into s. Returns whether it has named a reason. */
static bool take_earlier(Status *s) {
        _cleanup_(status_done) Status earlier = {};

        if (record_read(&earlier) <= 0 || earlier.state != STATE_NONE || earlier.reason == REASON_NONE)
                return false;
        s->reason = earlier.reason;
        s->detail = TAKE_PTR(earlier.detail);
        s->device = TAKE_PTR(earlier.device);
        memcpy(s->timings_usec, earlier.timings_usec, sizeof(s->timings_usec));
        return true;
}

/* Finishes s from the status file of the failed attempt, or where it did not come to write one, from what
 * the service manager tells of its unit in $MONITOR_… (systemd.exec(5)). */
static void explain_failure(Status *s) {
        const char *result = getenv("MONITOR_SERVICE_RESULT") ?: "no result";

        if (take_earlier(s))
                return;
        if (streq(result, "timeout"))
                (void) status_fail(s, REASON_TIMEOUT, ETIMEDOUT, "Setting up the disk took too long");
        else
                (void) status_fail(s, REASON_INTERNAL, 0, "ccvm-scratch-setup ended early (%s, %s %s)",
                                   result, getenv("MONITOR_EXIT_CODE") ?: "no exit code",
                                   getenv("MONITOR_EXIT_STATUS") ?: "");
}

int verb_fallback(const Config *c) {
        _cleanup_(status_done) Status s = { .state = STATE_OFF };
        Fallback fallback = config_fallback(c);
        int r;

        if (c->vm_disk) {
                s.state = fallback == FALLBACK_TMPFS ? STATE_TMPFS : STATE_NONE;
                explain_failure(&s);
        }

        /* Sticky: a disk that comes later is left alone. After a failure the marker is there already. */
        (void) record_claim(c->text);
        r = fallback == FALLBACK_TMPFS ? fall_back_to_ram(c, &s) : 0;
        (void) announce_outcome(&s);
        if (fallback == FALLBACK_FAIL)
                return announce_power_off(reason_to_string(s.reason), s.detail);
        if (c->vm_disk)
                announce_on_console(reason_to_string(s.reason), s.detail,
                                    s.state == STATE_TMPFS ? "using RAM instead" : "going on without");
        return r;
}
