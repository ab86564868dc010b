/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Finding the disk, by its serial alone: what is on it is the host's to write, so it decides nothing.
 *
 * Used first when the disk is set up, in the boot and in a renewal. Nothing of a disk is read or written
 * here. */

#include <stdint.h>
#include <sys/types.h>

#include "failure.h"

/* A block device. */
typedef struct Device {
        char *node; /* owned; "/dev/vdb" */
        dev_t number;
        uint64_t size; /* bytes */
} Device;

void device_done(Device *d);

#define TAKE_DEVICE(d) TAKE_GENERIC(d, Device, ((Device) {}))

/* Finds the one whole disk with this serial, writable, of at least size_min bytes, and not in use. If one
 * was found and refused, its node is in ret all the same. The caller calls device_done(), also after a
 * failure. */
int device_find(const char *serial, uint64_t size_min, Failure *f, Device *ret);

/* Bounds what the kernel sends to the disk at once, to 128 requests of 256 KiB: what has been sent cannot be
 * taken back, and wipe and shutdown wait for it. Less stays as it is; errors are of no consequence. */
void device_limit_queue(const Device *d);

/* Compares text, size bytes of sysfs that need not be text at all, with a serial: without the blanks around
 * it and the newline behind it, and otherwise to the byte. */
bool device_serial_matches(const char *text, size_t size, const char *serial);
