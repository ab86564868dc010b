/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One line of /proc/PID/mountinfo (proc_pid_mountinfo(5)), out of the whole text.
 *
 * Why not libmount: with what it pulls in (libblkid, libselinux, libpcre2) it costs half as much again as
 * the start of a C program, and 0.8 MiB; this program is to cost next to nothing before the VMM starts, and
 * it needs six fields of one line. Pure functions of the text. */

#include "macro.h"

/* Text fields point into the line that the struct owns, with the kernel's octal escapes (\040) undone; only
 * options keeps them, since a comma inside a value is escaped too. */
typedef struct Mount {
        int id;
        unsigned major, minor; /* of the file system; major 0: it has no single block device */
        char *target;
        char *type;
        char *source;
        char *options; /* of the superblock */
        char *line;
} Mount;

void mount_done(Mount *m);

/* The mount with this ID. 0, -ENOENT, -ENOMEM, -EBADMSG if its line is not as the kernel writes it. */
int mountinfo_find_id(const char *text, int id, Mount *ret);

/* The mount that an absolute path without symbolic links is on, as far as the text can tell: the longest
 * mount point that is the path or leads to it, the last such line. Errors as above. */
int mountinfo_find_path(const char *text, const char *path, Mount *ret);

/* The value of one superblock option, unescaped, for the caller to free. 1, 0 if there is none, or -ENOMEM.
 */
int mount_get_option(const Mount *m, const char *key, char **ret);
