/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Finding the disk, by its serial alone: what is on it is the host's to write, so it decides nothing. */

#include <stdint.h>
#include <sys/types.h>

#include "status.h"

/* Smaller than this there is no room for a header and a file system worth having. */
#define DEVICE_SIZE_MIN (UINT64_C(32) * 1024 * 1024)

typedef struct Device {
        char *node; /* owned; "/dev/vdb" */
        dev_t number;
        uint64_t size; /* bytes */
} Device;

/* The one whole disk with this serial, writable, large enough, and claimed by nobody. A refusal is noted in
 * s with its reason, and nothing of the disk has been read or written then. The caller calls
 * device_done(). */
int device_find(const char *serial, Status *s, Device *ret);

/* Whether text, size bytes of sysfs that need not be text at all, is this serial: without the blanks around
 * it and the newline behind it, and otherwise to the byte. */
bool device_serial_matches(const char *text, size_t size, const char *serial);

void device_done(Device *d);
