/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The file systems that the pool can have, each made and mounted for a life of one boot: nothing has to
 * survive a crash, and space that is not used must not be written. */

#include "status.h"

typedef struct FileSystem FileSystem;

/* The one of this name that goes with the kernel, a constant; NULL if the name is not known. */
const FileSystem *filesystem_find(const char *name);

/* Whether ext4 needs a journal in a kernel of this release, as uname(2) has it. Without one, a block of
 * metadata that was freed while it was being written could be given to somebody else at once, whose data the
 * late write destroyed: mended by "ext4: wait for ongoing I/O to complete before freeing blocks"
 * (328a782cb138) in Linux 6.18, and in 6.17.5, 6.12.55, 6.6.114 and 6.1.158. A distribution's kernel of an
 * older number may have it, which cannot be known. */
bool filesystem_needs_journal(const char *release);

const char *filesystem_name(const FileSystem *fs);

/* Bytes below which there is none worth having: what its mkfs demands, where that is much. */
uint64_t filesystem_size_min(const FileSystem *fs);

/* Whether its mkfs is in the search path. */
bool filesystem_has_program(const FileSystem *fs);

/* Runs mkfs on the block device node, whatever is on it. A failure is noted in s, and what is special about
 * the file system. */
int filesystem_make(const FileSystem *fs, const char *node, Status *s);

/* Mounts it at the existing directory where. A failure is noted in s, and nothing is mounted then. */
int filesystem_mount(const FileSystem *fs, const char *node, const char *where, bool discard, Status *s);

/* Whether filesystem_trim() has to give back what is freed; else it does so by itself, when mounted so. */
bool filesystem_trims(const FileSystem *fs);

/* Discards what is free in the file system mounted at where, from its byte *position on, if the device takes
 * it: extents of 64 KiB or more. 1 if its end was reached, 0 if not within 5 s, and then *position is where
 * to go on. Else what the kernel says. */
int filesystem_trim(const char *where, uint64_t *position);
