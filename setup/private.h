/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The private /tmp and /var/tmp of services (PrivateTmp= in systemd.exec(5)): directories of the pool that
 * the service manager has made, each mounted in the mount namespace of a service. */

#include "mounts.h"

/* Gives the services on an old pool the same directory, empty, on the mounted one. Logs its errors. */
void private_replace(const PoolLayout *layout, const OldPools *old);
