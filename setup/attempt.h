/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* /run/ccvm-scratch/attempted: one try a boot. The initrd's targets are started two or three times, and
 * without the marker the second start would format the disk under the live pool. */

#include "macro.h"

/* Creates the marker. Its text says where: "initrd" or "system", which the generator of the real root reads.
 * -EEXIST if it is there already; other errors of open(2). */
int attempt_claim(void);

/* Removes the marker, the status and what was asked for, as if nothing had been tried. Errors of
 * unlink(2). */
int attempt_forget(void);
