/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Guest RAM holds the volume key: the ways by which it would reach the host's disk. */

#include <stdint.h>

#include "backing.h"

/* Keeps this process, and what it executes, from leaving core dumps with memory in them. Never fails; what
 * the kernel refuses is logged as a warning. */
void memory_forbid_core_dumps(void);

/* The first active swap, in the text of /proc/swaps, that memory would reach in the clear: neither in RAM
 * (zram) nor below dm-crypt. ret is its name, for the caller to free. 1, 0 if there is none, or -ENOMEM. */
int memory_find_clear_swap(const char *swaps, const BackingWorld *world, char **ret);

/* Logs one warning if this machine has such a swap. */
void memory_warn_of_swap(void);

/* The size in QEMU's -m ("4096", "4G", "size=1.5G,slots=2"; NULL: QEMU's default), in bytes. 0 or -EINVAL.
 */
int memory_parse_size(const char *s, uint64_t *ret);

/* Raises the soft RLIMIT_MEMLOCK to the hard one and refuses (-EPERM, logged) what would still be too little
 * for the guest's RAM, given as to memory_parse_size(). */
int memory_allow_lock(const char *ram);
