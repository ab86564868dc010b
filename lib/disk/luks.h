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

/* Bytes of the disk that are not the mapping's, at most: the header, and what is worth having beyond. */
#define LUKS_OVERHEAD (UINT64_C(16) * 1024 * 1024)

typedef struct LuksOptions {
        bool header_in_ram; /* the image is noise from its first byte */
        bool integrity;     /* with integrity.h below; only with header_in_ram */
        bool discard;       /* pass TRIM down to the disk */
} LuksOptions;

/* Makes the mapping on d. A failure is noted in s, and then no mapping is left. On success s has what the
 * kernel says of it, and the key is in the kernel alone. */
int luks_open(const Device *d, const LuksOptions *options, Status *s);

/* Takes away what luks_open() makes, also in an earlier process, and also if that was ended in the middle on
 * this disk (0: unknown). What is still open gets I/O errors, and is removed when it is closed. Returns 0
 * also if there was none. */
int luks_close(dev_t disk);

/* What is open stays until it is closed, and works until then. */
int luks_remove_later(void);

/* Gives the mapping another name, under which it goes with its last user: there is room for another one. 0
 * also if there is none. */
int luks_put_aside(void);

/* As luks_close(), but -EBUSY and nothing done if the mapping is in use. */
int luks_close_unused(void);
