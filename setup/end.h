/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The verbs of the end, when the services have stopped. Both return 0 or -errno, and log their errors. */

#include "options.h"

/* ccvm-scratch-soft-reboot.service, when all is unmounted for a soft-reboot, which keeps kernel and /run.
 * The mapping goes with its key; the next userspace sets up its own pool. What is still in use, as by an
 * overlay that stays mounted, it gets as it is. */
int end_forget(const Options *o);

/* ccvm-scratch-shutdown.service, at every other end, when all but the pool itself is unmounted: what is not
 * written yet never is. */
int end_shutdown(const Options *o);
