/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Integrity=hmac-sha256: dm-integrity between the disk and dm-crypt, with an HMAC of each sector and of its
 * place. All that it keeps beside the data is in guest RAM (tags.h); the disk has ciphertext from its first
 * byte, and none of it is read to set this up. */

#include "device.h"

#define INTEGRITY_NAME "hmac-sha256" /* in options and status */

/* Makes the mapping on disk, or on its beginning if the RAM has no room for the tags of all of it, which is
 * noted in s. A failure is noted in s, and leaves nothing. The caller calls device_done(). */
int integrity_open(const Device *disk, bool discard, Status *s, Device *ret);

/* Bytes of a disk, a multiple of 1 MiB, whose tags and what is beside them have room in as many bytes. */
uint64_t integrity_size(uint64_t room);

/* Takes away what integrity_open() makes, also in an earlier process that was ended in the middle on this
 * disk (0: unknown). Returns 0 also if there was none. Whoever is on it, dm-crypt, has to go before. */
int integrity_close(dev_t disk);

/* Whether a sector was read that is not what was written: the host, or its disk, has changed it. The first
 * time that is logged, and noted in MISMATCHES_PATH for everybody. */
void integrity_check(void);

/* It goes with its last user. */
int integrity_remove_later(void);
