/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Small files of /proc and /sys, read whole. */

#include <dirent.h>

#include "macro.h"

static inline void closedirp(DIR **d) {
        if (*d)
                closedir(*d);
}

/* Reads a text file, at most 4 MiB of it, without its last newline. ret is for the caller to free. 0,
 * -ENOMEM, -EFBIG, or the errno of open(2) or read(2). */
int file_read_at(int dir_fd, const char *path, char **ret);

/* The value of KEY=VALUE in a text of such lines, for the caller to free. 0, -ENOENT or -ENOMEM. */
int file_get_variable(const char *text, const char *key, char **ret);

/* Undoes the escapes that the kernel uses in tables (a backslash and three octal digits) in place. */
void file_unescape(char *s);

/* Opens a directory for readdir(3); NULL with errno set if that fails. */
DIR *file_open_dir_at(int dir_fd, const char *path);
