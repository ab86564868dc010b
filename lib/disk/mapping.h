/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Mappings of device-mapper. They are taken down by what the kernel has of them alone: libcryptsetup would
 * first read what is on the disk, which is the host's to write. */

#include <stdint.h>
#include <sys/types.h>

#include "macro.h"

/* Whether the kernel has device-mapper; and a kind of target, for which it loads a module. */
bool mapping_is_possible(void);
bool mapping_has_target(const char *type);

/* The length of a mapping, in sectors of 512 bytes; 0 if it was made and never had a table. -ENODEV if there
 * is none of this name; else what the kernel says. */
int mapping_get_length(const char *name, uint64_t *ret);

/* The first number of its status, of which the kind of target has the meaning. -EINVAL if there is none;
 * else as above. */
int mapping_get_count(const char *name, uint64_t *ret);

/* 1 if somebody has it open, 0 if not or if there is none of this name; else what the kernel says. */
int mapping_is_in_use(const char *name);

/* Makes a mapping of the first sectors of device, length of them, which udev leaves alone, and gives its
 * number. What the kernel says. */
int mapping_create(const char *name, dev_t device, uint64_t length, dev_t *ret);

/* -ENODEV if there is none of this name; else what the kernel says. */
int mapping_get_number(const char *name, dev_t *ret);

/* Lets I/O in flight finish and holds back all other until mapping_fail(). Without flush and without
 * freezing the file system: both would write what is to be lost. -EINTR if a signal comes before the disk is
 * done. */
int mapping_suspend(const char *name);

/* Puts an error target of length in the place of what is there, whose memory the kernel frees; a key it
 * clears before. After a failure nobody is held back either. */
int mapping_fail(const char *name, uint64_t length);

/* Gives it another name; -EBUSY if there is one of that name. */
int mapping_rename(const char *name, const char *to);

/* Removes it, now or with its last user. Returns 0 also if there was none. */
int mapping_remove(const char *name);

/* Fails and removes it; 0 also if there was none. */
int mapping_take_down(const char *name);

/* The same for all that lie on the disk and whose names begin with prefix. */
int mapping_take_down_all(const char *prefix, dev_t disk);
