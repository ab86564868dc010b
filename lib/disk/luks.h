/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The LUKS2 device: a new volume key, a header without any keyslot, the mapping, and the proof that the
 * kernel runs what was asked for.
 *
 * Format and activation share one context, and nothing is read back from the disk between them. Whoever can
 * write the image could else put cipher_null into the header in that moment, and the data would land in the
 * clear. The read-back of the kernel's own table is the second lock on that door.
 *
 * Opened in the boot and in a renewal, when the disk is found; ended with the pool. */

#include "config.h"
#include "device.h"
#include "status.h"

#define LUKS_MAPPING "ccvm-scratch"
#define LUKS_NODE "/dev/mapper/" LUKS_MAPPING

/* Bytes of the disk that are not the mapping's, at most: the header, and what is worth having beyond. */
#define LUKS_OVERHEAD (UINT64_C(16) * 1024 * 1024)

/* Makes the mapping on the disk, with Header=, Integrity= and Discard= of c. On success the key is in the
 * kernel alone, and s tells of the mapping as the kernel has it, and of the header, which has no keyslot. A
 * failure leaves no mapping. Either way s has how long formatting, in addition to what it has, and
 * activating took, and its failure may be a note. */
int luks_open(const Device *disk, const Config *c, Status *s);

/* Ends what luks_open() makes, also in an earlier process that was killed in the middle of its work. Users
 * get I/O errors, and the mapping is removed when the last of them has closed it. 0 also if there is none.
 * */
int luks_close(void);

/* Lets the mapping, and what is below it, go with its last user, for whom it works until then. 0 also if
 * there is none. */
int luks_release(void);

/* Renames the mapping and releases it, so that a new one can take its name. 0 also if there is none. */
int luks_release_renamed(void);
