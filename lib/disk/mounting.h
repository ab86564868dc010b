/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Mounting, by libmount: it knows the kernel's interfaces old and new, and its words for why it failed. */

#include <stddef.h>

/* Room for what mount_it() says of a failure. */
#define MOUNT_MESSAGE_MAX 256

/* Mounts source, a file system of this type, on the directory target, whose path nobody but root can bend.
 * The mount table gets source as it is, also if it is a link. options: as of mount(8). No helper program is
 * run, and no file of libmount's is written. On failure message, of MOUNT_MESSAGE_MAX bytes, has one line of
 * why; -EIO, or -ENOMEM. */
int mount_it(const char *source, const char *target, const char *type, const char *options, char *message);
