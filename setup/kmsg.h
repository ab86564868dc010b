/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The kernel's log, by which a virtual machine learns that it goes on from a snapshot, and may not be the
 * only one. The kernel notices a new generation ID (vmgenid), and gives its random numbers a new seed. It
 * tells no program: since Linux 6.9 there is no uevent of it. There is only the line in its log.
 *
 * ccvm-scratch-setup writes each new key into the same log. So the order of both is in it, it can be read
 * at any time from its start, and nothing is missed.
 *
 * Used in the boot and in a renewal, when a key is made, and by the watch for clones. */

#include "macro.h"

typedef enum KmsgRecord {
        KMSG_OTHER,
        KMSG_FORK, /* the machine goes on from a snapshot */
        KMSG_KEY,  /* a key is being made */
} KmsgRecord;

/* Opens the log at its start. -errno; the caller closes it. */
int kmsg_open(void);

/* Reads from fd what the log has by now. *cloned becomes whether the last fork is younger than the last
 * key, and stays as it is if neither is found. Lost lines count as a fork: one may be among them. 0, or the
 * errors of read(2). */
int kmsg_read(int fd, bool *cloned);

/* Writes to the log that a key is being made. To be called before it is drawn: a fork in between is taken
 * for a younger one. 0, or the errors of write(2). */
int kmsg_note_key(void);

/* Tells what a record of /dev/kmsg is (Documentation/ABI/testing/dev-kmsg). */
KmsgRecord kmsg_parse_record(const char *record);
