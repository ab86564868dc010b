/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a directory's file system keeps its data on: the disk, RAM in one of its disguises, or who knows.
 *
 * An image in RAM would put the VM's "disk" back into the RAM it is meant to relieve. So the stack is
 * followed down: overlay to its upper, loop device to its file, device mapper and RAID to their members, a
 * partition to its disk. The walk is a function of a BackingWorld, so that tests run it on recorded trees.
 */

#include "macro.h"

typedef enum BackingKind {
        BACKING_DISK,
        BACKING_RAM,
        BACKING_UNKNOWN, /* a stack that cannot be looked through: network, FUSE, another mount namespace */
} BackingKind;

typedef struct Backing {
        BackingKind kind;
        bool hidden;       /* an overlay whose upper cannot be followed: only a file on it can be asked */
        bool written_back; /* RAM that is written to a disk in part: zram with a backing device */
        bool encrypted;    /* dm-crypt is in between, on the way to every member */
        char chain[256];   /* for people, from the top down: "overlay over tmpfs", "ext4 on loop0 over tmpfs"
                          */
} Backing;

typedef struct BackingWorld {
        const char *mountinfo; /* text of /proc/self/mountinfo */
        int sysfs_fd;          /* of /sys/dev/block */

        /* The ID of the mount that path is on. -ENOENT if there is no such path, another -errno if not
         * known. */
        int (*path_to_mount)(const struct BackingWorld *world, const char *path);

        /* The device number of the device node at path. 0 or -errno. */
        int (*path_to_device)(const char *path, unsigned *ret_major, unsigned *ret_minor);
} BackingWorld;

/* Classify a mount by its ID, and a block device by its number. 0, or -ENOMEM, -EMFILE or -ENFILE: what is
 * wrong with the world makes ret BACKING_UNKNOWN instead. */
int backing_classify_mount(const BackingWorld *world, int mount_id, Backing *ret);
int backing_classify_device(const BackingWorld *world, unsigned major, unsigned minor, Backing *ret);

/* This machine as a world; what cannot be read of it is left empty. 0 or -ENOMEM. To be released with
 * backing_host_done(). */
typedef struct BackingHost {
        BackingWorld world;
        char *mountinfo;
} BackingHost;

int backing_host_open(BackingHost *ret);
void backing_host_done(BackingHost *h);

/* Classifies the file system of an open file or directory on this machine. 0 or -errno. */
int backing_classify_fd(int fd, Backing *ret);
