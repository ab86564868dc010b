/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The system calls of fsopen(2), move_mount(2) and their like, for a C library without them: glibc has them
 * since 2.36. In the place of <sys/mount.h>.
 *
 * Used when the pool is mounted: in the boot, at a hot-plug and in a renewal. */

#include <fcntl.h>
#include <sys/mount.h>

#if !defined(__GLIBC__) || !__GLIBC_PREREQ(2, 36)
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#define fsopen(...) ((int) syscall(SYS_fsopen, __VA_ARGS__))
#define fsconfig(...) ((int) syscall(SYS_fsconfig, __VA_ARGS__))
#define fsmount(...) ((int) syscall(SYS_fsmount, __VA_ARGS__))
#define open_tree(...) ((int) syscall(SYS_open_tree, __VA_ARGS__))
#define move_mount(...) ((int) syscall(SYS_move_mount, __VA_ARGS__))
#define mount_setattr(...) ((int) syscall(SYS_mount_setattr, __VA_ARGS__))
#endif

#ifndef MOVE_MOUNT_BENEATH
#define MOVE_MOUNT_BENEATH 0x00000200 /* Linux 6.5 */
#endif
