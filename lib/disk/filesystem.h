/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The file systems that the pool can have, each made and mounted for a life of one boot: nothing has to
 * survive a crash, and space that is not used must not be written.
 *
 * Made in the boot and in a renewal, on the new mapping; mounted then, and again after a soft-reboot. */

#include <stdint.h>

#include "failure.h"

typedef struct FileSystem FileSystem;

/* Finds the file system of this name that goes with the running kernel, a constant; NULL if the name is not
 * known. */
const FileSystem *filesystem_find(const char *name);

/* Decides whether ext4 needs a journal in a kernel of this release, as uname(2) has it. Without one, a block
 * of metadata that was freed while it was being written could be given to another file at once, whose data
 * the late write destroyed: mended by "ext4: wait for ongoing I/O to complete before freeing blocks"
 * (328a782cb138) in Linux 6.18, and in 6.17.5, 6.12.55, 6.6.114 and 6.1.158. A distribution's kernel of an
 * older number may have it, which cannot be known. */
bool filesystem_needs_journal(const char *release);

/* Looks for the file system of this name in text, the content of /proc/filesystems. */
bool filesystem_is_listed(const char *text, const char *name);

const char *filesystem_name(const FileSystem *fs);

/* Returns how many bytes it has at least to be worth having, or for its mkfs. */
uint64_t filesystem_size_min(const FileSystem *fs);

/* Returns whether discard_free() has to give back what is freed; else it does so by itself, when mounted so.
 * */
bool filesystem_trims(const FileSystem *fs);

/* Looks for its mkfs in the search path. */
bool filesystem_has_program(const FileSystem *fs);

/* Runs mkfs on the block device node, whatever is on it. f notes what is special about the file system. */
int filesystem_make(const FileSystem *fs, const char *node, Failure *f);

/* Mounts the file system on the existing directory where. Nothing is mounted after a failure. */
int filesystem_mount(const FileSystem *fs, const char *node, const char *where, bool discard, Failure *f);
