/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The file systems that the pool can have, each made and mounted for a life of one boot: nothing has to
 * survive a crash, and space that is not used must not be written.
 *
 * Made in the boot and in a renewal, on the new mapping; mounted then, and again after a soft-reboot.
 *
 * Used in the boot, in a renewal, and after a soft-reboot. */

#include <stdint.h>

#include "failure.h"

#define MKFS_WORDS_MAX 20

typedef struct FileSystem {
        const char *name;
        bool (*is_for)(const char *release); /* of the kernel; NULL: for each */
        const char *note;                    /* what the status says of it; NULL: nothing */
        const char *mkfs[MKFS_WORDS_MAX];    /* argv; the device is appended */
        const char *options;                 /* of mount(8), without discard */
        const char *options_discard;         /* with discard, if the file system does it well by itself */
        bool trims;        /* it discards too late that way, or not at all: discard_free() has to */
        uint64_t size_min; /* bytes that it has to have to be worth having, or for its mkfs */
} FileSystem;

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

/* Looks for its mkfs in the search path. */
bool filesystem_has_program(const FileSystem *fs);

/* Runs mkfs on the block device node, whatever is on it. f notes what is special about the file system. */
int filesystem_make(const FileSystem *fs, const char *node, Failure *f);

/* Mounts the file system on the existing directory where. Nothing is mounted after a failure. */
int filesystem_mount(const FileSystem *fs, const char *node, const char *where, bool discard, Failure *f);

/* Mounts source, a file system of this type, on the directory target, whose path only root can change, with
 * options of mount(8). By libmount, which knows the kernel's interfaces old and new, and its words for why
 * it failed. The mount table has source as it is given. No helper program is run, and no file of libmount's
 * is written. REASON_MOUNT. */
int mount_fs(const char *source, const char *target, const char *type, const char *options, Failure *f);
