/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Finding the disk, by its serial alone: what is on it is the host's to write, so it decides nothing. */

#include <stdint.h>
#include <sys/types.h>

#include "status.h"

typedef struct Device {
        char *node; /* owned; "/dev/vdb" */
        dev_t number;
        uint64_t size; /* bytes */
} Device;

/* The one whole disk with this serial, writable, of at least size_min bytes, and claimed by nobody. A
 * refusal is noted in s with its reason, and nothing of the disk has been read or written then. The caller
 * calls device_done(). */
int device_find(const char *serial, uint64_t size_min, Status *s, Device *ret);

/* Bounds what the kernel sends to the disk at once, to 128 requests of 256 KiB: what has been sent cannot be
 * taken back, and wipe and shutdown wait for it. Less stays as it is; errors are of no consequence. */
void device_limit_queue(const Device *d);

/* Only the number of the one disk with this serial, whatever else it is. -ENODEV, -ENOTUNIQ. */
int device_find_number(const char *serial, dev_t *ret);

/* Whether text, size bytes of sysfs that need not be text at all, is this serial: without the blanks around
 * it and the newline behind it, and otherwise to the byte. */
bool device_serial_matches(const char *text, size_t size, const char *serial);

void device_done(Device *d);
