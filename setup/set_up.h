/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* From the disk to the mounted pool, and back: what the boot and a renewal have in common. */

#include "options.h"

/* Makes the encrypted pool on the disk, mounted, once: no marker is looked at. A failure leaves nothing
 * behind. The outcome is logged and in s; it is in the status file, and if it is a success announced. */
int set_up_pool(const Options *o, Status *s);

/* Logs the failure r that s tells of, and writes it for the fallback, which is still to follow. Returns r. */
int set_up_failed(const Status *s, int r);

/* Takes down the mapping, and what is below it. Logs its errors. */
int take_down_pool(const Options *o);
