/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* close, ExecStopPost= of ccvm-scratch-luks.service: clears away what a run that has failed could not, as
 * when it was killed.
 *
 * When: after each end of the service. An ordinary stop, as at shutdown, must never take the pool from
 * whoever still uses it. */

#include "verbs.h"

#include "pool.h"

int verb_close(const Config *c) {
        const char *result = getenv("SERVICE_RESULT");

        if (result && streq(result, "success"))
                return 0;
        pool_detach();
        return close_disk();
}
