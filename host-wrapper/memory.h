/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The ways by which guest RAM, which holds the volume key, would reach the host's disk. Nothing here fails:
 * what cannot be had is one warning.
 *
 * Used on the host, before QEMU starts. */

/* Keeps this process, and what it executes, from leaving core dumps with memory in them. */
void memory_forbid_core_dumps(void);

/* Warns if this machine swaps to something that is neither zram nor below dm-crypt. */
void memory_warn_of_swap(void);

/* Raises the soft limit for locked memory to the hard one. If that is too little QEMU says so itself. */
void memory_raise_lock_limit(void);
