/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A virtual machine that goes on from a snapshot, and may not be the only one. The kernel notices, by a new
 * generation ID (vmgenid), and gives its random numbers a new seed. It tells no program: since Linux 6.9
 * there is no uevent of it. What there is is the line in its log.
 *
 * Whether a key is from before that line is in the log too: whoever makes a key says so there before. So
 * the log can be read at any time from its start, and nothing is missed. */

#include "macro.h"

typedef enum KmsgRecord {
        KMSG_OTHER,
        KMSG_FORK, /* the kernel's word that the machine goes on from a snapshot */
        KMSG_KEY,  /* a key is being made */
} KmsgRecord;

/* The kernel's log, from its start, or -errno. The caller closes it. */
int kmsg_open(void);

/* Reads what the log has by now. *cloned becomes whether the last fork is younger than the last key, and
 * stays as it is if neither is found. Lost lines count as a fork: one may be among them. 0, or what read(2)
 * says. */
int kmsg_read(int fd, bool *cloned);

/* Waits until the log has more, for ever. 0, or what poll(2) says. */
int kmsg_wait(int fd);

/* Says in the log that a key is being made. To be called before it is drawn: a fork in between is taken for
 * a younger one. What the kernel says. */
int kmsg_note_key(void);

/* What a record of /dev/kmsg (Documentation/ABI/testing/dev-kmsg) is. */
KmsgRecord kmsg_parse_record(const char *record);
