/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Mappings of device-mapper, by their names: the one client of libdevmapper. A mapping is ended by what the
 * kernel has of it alone: libcryptsetup would first read what is on the disk, which is the host's to write.
 *
 * Used in the boot, in a renewal, a wipe and a clone, and at the end.
 *
 * Where nothing else is said, functions return 0, -ENODEV if there is no mapping of this name, -EOPNOTSUPP
 * if the kernel's device-mapper cannot be reached, or what the kernel says. */

#include <stdint.h>
#include <sys/types.h>

#include "failure.h"
#include "table.h"

/* Looks, after a failure of a mapping with a target of this type, for what the kernel lacks of it. If it
 * lacks a module the reason becomes REASON_KERNEL and the detail begins with the module's name; if there is
 * only no way to device-mapper, the detail says so. */
void mapping_explain(const char *type, Failure *f);

/* Makes a mapping of one target, which udev leaves alone, and gives its number. The parameters may have a
 * key in them: libdevmapper wipes its copies. */
int mapping_create(const char *name, const Target *target, dev_t *ret);

/* Compares the mapping's live table, which may have the key in it, with what was asked for. */
int mapping_verify(const char *name, const Table *wanted, Failure *f);

/* Reads the first number of the mapping's status, which each type of target has its own meaning for. -EINVAL
 * if there is none. */
int mapping_get_count(const char *name, uint64_t *ret);

/* Returns 1 if the mapping is open or mounted, 0 if it is not, or if there is none of this name. */
int mapping_is_in_use(const char *name);

/* Suspends the mapping: I/O in flight comes to its end, and all other waits until
 * mapping_replace_by_error(). Without flush and without freezing the file system: both would write what is
 * to be lost. -EINTR if a signal comes before the disk is done. */
int mapping_suspend(const char *name);

/* Replaces the mapping's table by an error target: the kernel frees the old one, and clears a key in it
 * before. Users get I/O errors. After a failure the mapping goes on with what it had. */
int mapping_replace_by_error(const char *name);

/* Renames the mapping. -EBUSY if there is one of the new name. */
int mapping_rename(const char *name, const char *to);

/* Marks the mapping for removal, now or with its last user, for whom it works until then. 0 also if there is
 * none. */
int mapping_release(const char *name);

/* Replaces the mapping by an error target and releases it: users get I/O errors. 0 also if there is none. */
int mapping_close(const char *name);
