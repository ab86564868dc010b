/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* health, of ccvm-scratch-health.service: tells when the disk does not work any more, and gives what was
 * freed back to the host.
 *
 * When: in the running system, by its timer. It must never wait for another verb, or work without a
 * bound. */

#include "verbs.h"

#include "announce.h"
#include "integrity.h"
#include "record.h"
#include "trim.h"

int verb_health(const Options *o) {
        _cleanup_(status_done) Status s = {};
        Health h;
        int r;

        r = record_read(&s);
        if (r <= 0)
                return r;
        integrity_check();
        h = health_read("", &s);
        r = announce_health(&s, h);
        if (h == HEALTH_OK)
                trim_pool(&s);
        return r;
}
