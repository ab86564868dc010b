/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The file systems that the pool can have, each made and mounted for a life of one boot: nothing has to
 * survive a crash, and space that is not used must not be written. */

#include "status.h"

typedef struct FileSystem FileSystem;

/* A constant, or NULL if the name is not known. */
const FileSystem *filesystem_find(const char *name);

const char *filesystem_name(const FileSystem *fs);

/* Bytes below which there is none worth having: what its mkfs demands, where that is much. */
uint64_t filesystem_size_min(const FileSystem *fs);

/* Whether its mkfs is in the search path. */
bool filesystem_has_program(const FileSystem *fs);

/* Runs mkfs on the block device node, whatever is on it. A failure is noted in s. */
int filesystem_make(const FileSystem *fs, const char *node, Status *s);

/* Mounts it at the existing directory where. A failure is noted in s, and nothing is mounted then. */
int filesystem_mount(const FileSystem *fs, const char *node, const char *where, bool discard, Status *s);

/* Whether filesystem_trim() has to give back what is freed; else it does so by itself, when mounted so. */
bool filesystem_trims(const FileSystem *fs);

/* Discards what is free in the file system mounted at where, from its byte *position on, if the device takes
 * it: extents of 64 KiB or more. 1 if its end was reached, 0 if not within 5 s, and then *position is where
 * to go on. Else what the kernel says. */
int filesystem_trim(const char *where, uint64_t *position);
