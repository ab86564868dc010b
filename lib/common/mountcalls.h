/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The system calls of fsopen(2), move_mount(2) and their like, for a C library without them: glibc has them
 * since 2.36. In the place of <sys/mount.h>. */

#include <fcntl.h>
#include <sys/mount.h>

#if !defined(__GLIBC__) || !__GLIBC_PREREQ(2, 36)
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline int fsopen(const char *fs_name, unsigned flags) {
        return syscall(SYS_fsopen, fs_name, flags);
}

static inline int fsconfig(int fd, unsigned command, const char *key, const void *value, int aux) {
        return syscall(SYS_fsconfig, fd, command, key, value, aux);
}

static inline int fsmount(int fd, unsigned flags, unsigned attributes) {
        return syscall(SYS_fsmount, fd, flags, attributes);
}

static inline int open_tree(int directory, const char *path, unsigned flags) {
        return syscall(SYS_open_tree, directory, path, flags);
}

static inline int move_mount(int from, const char *from_path, int to, const char *to_path, unsigned flags) {
        return syscall(SYS_move_mount, from, from_path, to, to_path, flags);
}

static inline int mount_setattr(int directory, const char *path, unsigned flags,
                                struct mount_attr *attributes, size_t size) {
        return syscall(SYS_mount_setattr, directory, path, flags, attributes, size);
}
#endif

#ifndef MOVE_MOUNT_BENEATH
#define MOVE_MOUNT_BENEATH 0x00000200 /* Linux 6.5 */
#endif
