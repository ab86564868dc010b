/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Giving blocks back to the host, in steps: a call is not interrupted, and a disk may need seconds for what
 * another one does at once.
 *
 * Used for the whole disk before it is formatted, and by the health service for what is free in the pool. */

#include "device.h"

/* A range is discarded and the time is read by these, so that a test can stand for the disk. */
typedef struct Discarder {
        /* Discards length bytes from start on; 0 or -errno. */
        int (*discard)(void *userdata, uint64_t start, uint64_t length);
        uint64_t (*now)(void *userdata); /* microseconds */
        void *userdata;
} Discarder;

/* Discards the bytes from *position to end in steps, which grow to 1 GiB at most. A step that would end
 * after limit_usec, by the time that the last one took, is not begun; the first one is small. *position
 * becomes where it has come to. Returns 1 at the end, 0 if there was no time for it, or what discard()
 * returned. */
int discard_in_time(const Discarder *d, uint64_t *position, uint64_t end, uint64_t limit_usec);

/* Discards the disk, as far as it comes in 2 s, if it takes discards. */
void discard_disk(const Device *disk);

/* Discards what is free in the file system mounted at where, from its byte *position on, if the device takes
 * it: extents of 64 KiB or more. Returns 1 if its end was reached, 0 if not within 5 s, and then *position
 * is where to go on; else what the kernel says. */
int discard_free(const char *where, uint64_t *position);
