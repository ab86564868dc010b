/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Destroying the key while the VM runs: what is on the disk is noise from then on, for the guest too. */

#include "status.h"

/* Wipes the key out of the kernel, makes each access to the mapping an I/O error, detaches the pool and
 * mounts (NULL-terminated, borrowed), and has the mapping removed with its last user. Nothing waits for the
 * disk. A failure is noted in s; the key is gone if only a later step failed. */
int wipe(char **mounts, Status *s);
