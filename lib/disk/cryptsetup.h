/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What both layers of the disk share in their use of libcryptsetup: keys, and why a call has failed. */

#include <libcryptsetup.h>

#include "device.h"
#include "status.h"

/* Of libcryptsetup 2.8.8; an older one takes it, and has no use for it. */
#ifndef CRYPT_COMPAT_LEGACY_INTEGRITY_DISCARD
#define CRYPT_COMPAT_LEGACY_INTEGRITY_DISCARD (UINT32_C(1) << 3)
#endif

typedef void SafeMemory;
DEFINE_TRIVIAL_CLEANUP_FUNC(SafeMemory *, crypt_safe_free)
#define _cleanup_key_ _cleanup_(crypt_safe_freep)

DEFINE_TRIVIAL_CLEANUP_FUNC(struct crypt_device *, crypt_free)
#define _cleanup_crypt_ _cleanup_(crypt_freep)

/* Settings of the library for the whole process; before anything else of it. */
void cryptsetup_prepare(void);

/* Draws a new key of size bytes for disk, in locked memory, which crypt_safe_free() wipes. Clones of this
 * virtual machine draw others (entropy.h). -ETIMEDOUT if the kernel's generator is not seeded within
 * seconds, -ENOMEM, and what the kernel says. */
int cryptsetup_make_key(const Device *disk, size_t size, SafeMemory **ret);

/* status_fail() with what and the library's last message. */
int cryptsetup_fail(Status *s, Reason reason, int error, const char *what);
