/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a renewal and its recovery have in common. */

#include "old_pools.h"
#include "options.h"

#define MANAGER_WAIT_USEC (3 * USEC_PER_SEC) /* for the service manager, in all */

/* Puts the mounts of the pool in the place of the old ones', which at no time is bare, also in the namespaces
 * of services. What somebody else has mounted there stays. Logs its errors. */
void replace_mounts(const Options *o, const OldPools *old);

void warn_of_manager(int r);
