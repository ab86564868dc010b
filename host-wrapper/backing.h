/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a file is kept on: the disk, RAM in one of its disguises, or who knows.
 *
 * An image in RAM would put the VM's "disk" back into the RAM it is meant to relieve. So the stack is
 * followed down: overlay to its upper, loop device to its file, device mapper and RAID to their members. The
 * usual case, a file system on a disk, costs three system calls and no table. The walk is a function of a
 * BackingWorld, so that tests run it on recorded trees. */

#include <sys/types.h>

#include "macro.h"

/* The worst of several members is the largest. */
typedef enum BackingKind {
        BACKING_DISK,
        BACKING_UNKNOWN, /* a stack that cannot be looked through: network, FUSE, another mount namespace */
        BACKING_RAM,
} BackingKind;

typedef struct Backing {
        BackingKind kind;
        bool hidden;       /* an overlay whose upper cannot be followed: only a file on it can be asked */
        bool written_back; /* RAM that is written to a disk in part: zram with a backing device */
        bool encrypted;    /* dm-crypt is in between, on the way to every member */
        char chain[256];   /* for people, from the top down: "overlay over tmpfs", "loop0 over tmpfs" */
} Backing;

/* What stat(2), statfs(2) and statx(2) say of a file. */
typedef struct BackingFile {
        dev_t dev;     /* of its file system, or of the block device that it is */
        bool device;   /* it is a block device */
        unsigned type; /* of its file system, as in linux/magic.h */
        int mount_id;
} BackingFile;

typedef struct BackingWorld {
        const char *sysfs;                               /* "/sys" */
        const char *mountinfo;                           /* "/proc/self/mountinfo" */
        int (*look)(const char *path, BackingFile *ret); /* 0 or -errno */
} BackingWorld;

extern const BackingWorld backing_this_machine;

/* Classifies what an open file or directory, or the file or block device at an absolute path, is kept on. 0,
 * or -errno for what is wrong with this process (-ENOMEM, -EMFILE, -ENFILE) or the descriptor; what is wrong
 * with the world makes ret BACKING_UNKNOWN instead. */
int backing_classify_fd(int fd, Backing *ret);
int backing_classify_path(const BackingWorld *world, const char *path, Backing *ret);

/* Undoes the escapes that the kernel uses in tables (a backslash and three octal digits) in place. */
void backing_unescape(char *s);
