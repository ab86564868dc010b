/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The verb health, of ccvm-scratch-health.service: whether the disk still works, and what was freed is given
 * back to the host.
 *
 * When: in the running system, by its timer. Never: waits for another verb, or works without a bound. */

#include "verbs.h"

#include "announce.h"
#include "health.h"
#include "integrity.h"
#include "trim.h"

int verb_health(const Options *o) {
        _cleanup_(status_done) Status s = {};
        Health h;
        int r;

        r = record_load(&s);
        if (r < 0)
                return r;
        integrity_check();
        h = health_read("", &s);
        r = announce_health(&s, h);
        if (h == HEALTH_OK)
                (void) trim_some(&s);
        return r;
}
