/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* From the disk to the mounted pool, and back: what the boot and a renewal have in common. Both log their
 * errors. */

#include "config.h"
#include "status.h"

/* Makes the encrypted pool on the disk and mounts it; no marker is looked at. A failure leaves nothing
 * behind. The outcome is in s and in the status file, and a success is announced. */
int encrypt_disk(const Config *c, Status *s);

/* Removes the mapping, and what is below it. Whoever uses it gets I/O errors. */
int close_disk(void);
