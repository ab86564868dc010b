/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* encrypt, of ccvm-scratch-luks.service: the encrypted pool, for the first time in this boot.
 *
 * When: in the initrd, after the disk has appeared and before initrd-fs.target; in the real root before
 * local-fs.target where there is no initrd, or when a disk is hot-plugged. It must never run a second time
 * over a live pool, or leave anything behind after a failure. */

#include "verbs.h"

#include "announce.h"
#include "log.h"
#include "mounts.h"
#include "record.h"
#include "set_up.h"

int verb_encrypt(const Options *o) {
        _cleanup_(status_done) Status s = { .state = STATE_NONE };
        int r;

        r = record_claim(o->text);
        if (r == -EEXIST)
                return log_error_errno(r,
                                       "The pool was set up in this boot already; refusing to do it again");
        if (r < 0) {
                log_error_errno(r, "Failed to mark the attempt");
                (void) status_fail(&s, REASON_INTERNAL, r, "Failed to mark the attempt");
                (void) record_write(&s);
                return r;
        }
        r = set_up(o, &s);
        if (r < 0)
                return r;
        /* A disk that is hot-plugged comes when all else is mounted. */
        if (o->bind) {
                mounts_bind(&o->layout, "");
                (void) announce_missing(&s);
        }
        return 0;
}
