/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Places to mount something on. A path is only a name: whoever may write to a directory on it can have it
 * lead elsewhere by a link. So a place is reached by links of root alone, and used as a descriptor.
 *
 * Used by the generator, and when the pool is mounted: in the boot, at a hot-plug and in a renewal. */

#include "macro.h"

/* Opens the directory path (path_is_clean()) below the directory root, "" for the system's own, as O_PATH.
 * A link is followed, within root, only if it is root's, and nobody but root may write to a directory on the
 * way to it; -ELOOP otherwise. With make, directories that are missing are made, with mode 0755. The caller
 * closes the result. *ret, if not NULL, is the path below root without links; the caller frees it. Else the
 * errors of open(2). */
int place_open(const char *root, const char *path, bool make, char **ret);

/* Gives the same path without links, by the root's own file system and /usr: as of another file system, and
 * of what is not there, the rest of path stands for itself. Nothing is mounted, made or waited for. -ELOOP
 * as above. */
int place_resolve(const char *root, const char *path, char **ret);
