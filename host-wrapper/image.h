/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The image: a sparse file that exists as an open descriptor and nowhere else.
 *
 * All functions log what went wrong, with the directory's or file's name as the user gave it. */

#include <stdint.h>

#include "macro.h"

/* Less free space than this, in bytes, and the guest could not even make its file system. */
#define IMAGE_FREE_MIN (UINT64_C(64) * 1024 * 1024)

/* Opens the directory for the image. With create, it and its parents are made, mode 0700. dry: nothing is
 * made, and the nearest parent is opened instead of what is missing. Returns a descriptor (O_CLOEXEC), or
 * -errno. */
int image_open_dir(const char *path, bool create, bool dry);

/* Refuses (-EROFS) a directory whose files are kept in RAM, unless allow_ram; warns when that cannot be
 * told. 1: only an image can show it, for which "probe" is there below. */
int image_check_backing(int dir_fd, const char *path, bool allow_ram);

/* Refuses (-ENOSPC) less than IMAGE_FREE_MIN of free space, and warns of less than size bytes. */
int image_check_space(int dir_fd, const char *path, uint64_t size);

/* Makes a nameless image of size bytes in the directory, mode 0600, all of it a hole. Returns a descriptor
 * (O_CLOEXEC, read and write), or -errno. path is for messages. probe: it is refused (-EROFS) if a block
 * that is written to it is on no disk. */
int image_create(int dir_fd, const char *path, uint64_t size, bool probe);

/* The same under a name that stays. A file that is there already is taken only if it is what an earlier run
 * with the same size has left: regular, the caller's own, of exactly that size, and under one name. It is
 * locked against a second run (flock(2)) for as long as anybody has it open. */
int image_create_named(const char *path, uint64_t size, bool probe);

/* Refuses a descriptor that is no regular file open for reading and writing, or one with content. */
int image_check_fd(int fd, uint64_t size);

/* Makes an image of size bytes of such a file that somebody else has open. 0 or -errno. */
int image_adopt(int fd, uint64_t size, bool probe);
