/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Small files and directories.
 *
 * Used by all programs, whenever they run. */

#include <dirent.h>
#include <sys/stat.h>

#include "macro.h"

DEFINE_TRIVIAL_CLEANUP_FUNC(DIR *, closedir)
#define _cleanup_closedir_ _cleanup_(closedirp)

/* The whole of a file of at most max bytes, with a NUL behind it. The caller frees it. -ENOENT and the other
 * errors of open(2) and read(2); -EFBIG if it is larger; -EINVAL if it has a NUL byte. */
int file_read(const char *path, size_t max, char **ret);

/* Reads what the kernel tells in a file of sysfs or /proc, whose path has this format: all of it, without
 * the newline at its end. The caller frees it; NULL if there is no such file, or nothing in it. */
char *attribute_read(const char *format, ...) _printf_(1, 2);

/* Replaces path by text: a reader sees the old file or the whole new one, at any time. Its directory is made
 * if need be. */
int file_write_atomic(const char *path, const char *text, mode_t mode);

/* The same with mode 0644; a file that has the text is left as it is, so that whoever watches it sees no
 * change. */
int file_update(const char *path, const char *text);

/* Makes a directory and those above it, as far as they are missing. One that is there is not asked to be
 * made: it may be on a server, or be mounted when it is looked for, and then mkdir(2) does not always say
 * that it exists. */
int mkdir_parents(const char *path, mode_t mode);

/* Makes those of the file path, with mode 0755. */
int mkdir_for(const char *path);
