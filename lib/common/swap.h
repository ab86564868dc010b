/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where what is in memory goes when the kernel swaps it out. Reads /proc and sysfs alone.
 *
 * When: at any time in the guest, for the status; on the host before the VM starts. */

/* Finds a swap device or swap file from which memory gets to a disk in the clear: neither RAM nor below
 * dm-crypt on each way down; what nobody knows counts as clear. root goes before all paths, "" for the
 * system's own. Returns its path as /proc/swaps has it, for the caller to free; NULL if there is none. */
char *swap_find_clear(const char *root);
