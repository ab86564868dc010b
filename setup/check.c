/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* check, of ccvm-scratch-check.service: whether the pool is what programs get.
 *
 * When: in the real root, when all is mounted and before anybody uses it. It must never change anything;
 * with Fallback=fail its failure powers off. */

#include "verbs.h"

#include "announce.h"
#include "log.h"
#include "record.h"

#define NO_STATUS "nobody has set the pool up, or said why not"

int verb_check(const Config *c) {
        _cleanup_(status_done) Status s = {};
        bool fail = config_fallback(c) == FALLBACK_FAIL;
        int r;

        r = record_read(&s);
        if (r == 0)
                r = log_error_errno(-ENOENT, "Failed to read '%s'", STATUS_PATH);
        if (r < 0)
                return fail ? announce_power_off("no status", NO_STATUS) : r;
        r = announce_missing(&s);
        /* The initrd may have fallen back before anybody told it not to. */
        if (fail && s.state == STATE_TMPFS)
                return announce_power_off(reason_to_string(s.reason), s.detail);
        if (fail && r < 0)
                return announce_power_off("mounts missing", "the journal names them");
        return r;
}
