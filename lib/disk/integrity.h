/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Integrity=hmac-sha256: dm-integrity between the disk and dm-crypt, with an HMAC of each sector and of its
 * place. All that it keeps beside the data is in guest RAM (tags.h); the disk has ciphertext from its first
 * byte, and none of it is read to set this up.
 *
 * Opened in the boot and in a renewal, before LUKS (luks.h); checked by the health service; ended after
 * LUKS. */

#include "device.h"

/* Makes the mapping on the disk, or on its beginning if the RAM has no room for the tags of all of it, which
 * f notes. A failure leaves nothing. The caller calls device_done(). */
int integrity_open(const Device *disk, bool discard, Failure *f, Device *ret);

/* Computes how many bytes of a disk, a multiple of 1 MiB, have tags that need no more than room bytes. */
uint64_t integrity_size(uint64_t room);

/* Looks whether a sector was read that is not what was written: the host, or its disk, has changed it. The
 * first time that is logged, and noted in MISMATCHES_PATH for everybody. */
void integrity_check(void);

/* Ends what integrity_open() makes, also in an earlier process that was killed in the middle of its work;
 * what uses it gets I/O errors. dm-crypt has to be ended before. 0 also if there is none. */
int integrity_close(void);

/* Lets the mappings go with their last user; the device in RAM goes with the RAM. 0 also if there are none.
 * */
int integrity_release(void);
