/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The LUKS2 device: a new volume key, a header without any keyslot, the mapping, and the proof that the
 * kernel runs what was asked for.
 *
 * Format and activation share one context, and nothing is read back from the disk between them. Whoever can
 * write the image could else put cipher_null into the header in that moment, and the data would land in the
 * clear. The read-back of the kernel's own table is the second lock on that door. */

#include "device.h"
#include "status.h"

#define LUKS_MAPPING "ccvm-scratch"
#define LUKS_NODE "/dev/mapper/" LUKS_MAPPING

typedef struct Luks Luks;

typedef struct LuksOptions {
        bool header_in_ram; /* the image is noise from its first byte */
        bool integrity;     /* HMAC-SHA-256 of each sector; not with header_in_ram, and without discard */
        bool discard;       /* pass TRIM down to the disk */
} LuksOptions;

/* Makes the mapping on d. A failure is noted in s, and then no mapping is left. On success s has what the
 * kernel says of it. While *ret is not handed to luks_keep(), luks_close() takes the mapping away again. */
int luks_open(const Device *d, const LuksOptions *options, Status *s, Luks **ret);

/* Removes the mapping and frees l. */
void luks_close(Luks *l);

/* Frees l; the mapping stays until the VM ends. */
void luks_keep(Luks *l);

/* Removes a mapping that an earlier process left, if there is one; forced: what is still open on it gets I/O
 * errors. Returns 0 also if there was none. */
int luks_remove_leftover(void);

/* The same, but -EBUSY and nothing done if the mapping is in use. */
int luks_remove_unused(void);

DEFINE_TRIVIAL_CLEANUP_FUNC(Luks *, luks_close)
