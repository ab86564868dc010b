/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What both layers of encryption (luks.h, integrity.h) share in their use of libcryptsetup: keys, and why a
 * call has failed.
 *
 * Used when the disk is set up, in the boot and in a renewal. No key is ever in memory that is not locked.
 * */

#include <libcryptsetup.h>

#include "device.h"

/* Of libcryptsetup 2.8.8; an older one takes it, and has no use for it. */
#ifndef CRYPT_COMPAT_LEGACY_INTEGRITY_DISCARD
#define CRYPT_COMPAT_LEGACY_INTEGRITY_DISCARD (UINT32_C(1) << 3)
#endif

typedef void SafeMemory;
DEFINE_TRIVIAL_CLEANUP_FUNC(SafeMemory *, crypt_safe_free)
#define _cleanup_key_ _cleanup_(crypt_safe_freep)

DEFINE_TRIVIAL_CLEANUP_FUNC(struct crypt_device *, crypt_free)
#define _cleanup_crypt_ _cleanup_(crypt_freep)

/* Sets up the library for the whole process; to be called before anything else of it. */
void cryptsetup_prepare(void);

/* Draws a new key of size bytes, in locked memory, which crypt_safe_free() wipes. Clones of this virtual
 * machine draw others (entropy.h). REASON_RNG: also if the kernel's generator is not seeded within seconds.
 * */
int cryptsetup_make_key(const Device *disk, size_t size, Failure *f, SafeMemory **ret);

/* Sets f to reason, what has failed, and the library's last message; and looks for what the kernel lacks of
 * a target of this type (mapping_explain()). Returns error. */
int cryptsetup_fail(Failure *f, Reason reason, int error, const char *what, const char *type);
