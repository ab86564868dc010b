/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Mount tables as libmount reads them, with their cleanups.
 *
 * When: wherever mounted.h and users.h are used. */

#include <libmount.h>

#include "macro.h"

#define MOUNT_TABLE "/proc/self/mountinfo"

DEFINE_TRIVIAL_CLEANUP_FUNC(struct libmnt_table *, mnt_unref_table)
DEFINE_TRIVIAL_CLEANUP_FUNC(struct libmnt_iter *, mnt_free_iter)

#define _cleanup_table_ _cleanup_(mnt_unref_tablep)
#define _cleanup_iter_ _cleanup_(mnt_free_iterp)
