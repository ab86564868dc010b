/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The verb close, ExecStopPost= of ccvm-scratch-luks.service: clears away what a run that has failed could
 * not, as when it was killed.
 *
 * When: after each end of the service. Never: after a success. */

#include "verbs.h"

#include "mounts.h"
#include "set_up.h"

/* An ordinary stop, as at shutdown, leaves the pool to whoever still uses it. */
int verb_close(const Options *o) {
        const char *result = getenv("SERVICE_RESULT");

        if (result && streq(result, "success"))
                return 0;
        pool_detach();
        return take_down_pool(o);
}
