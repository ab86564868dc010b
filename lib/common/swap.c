/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "swap.h"

#include <limits.h>

#include "blockstack.h"
#include "fileio.h"
#include "text.h"

/* Tells dm-crypt by the UUID, in which what made a mapping comes first, for cryptsetup in capitals; two
 * of its kinds only check. */
static bool is_cipher(const BlockDevice *d) {
        _cleanup_free_ char *uuid = attribute_read("%s/dm/uuid", d->directory);

        return uuid && startswith(uuid, "CRYPT-") && !startswith(uuid, "CRYPT-INTEGRITY") &&
               !startswith(uuid, "CRYPT-VERITY");
}

static bool is_clear(const char *root, const char *directory);

/* Tells whether a device in RAM writes to a disk in the clear all the same: zram can write some of it
 * back. */
static bool writes_back(const char *root, const BlockDevice *d) {
        _cleanup_free_ char *node = attribute_read("%s/backing_dev", d->directory), *directory = NULL;

        if (!node || node[0] != '/')
                return false;
        directory = blockstack_find(root, node);
        return is_clear(root, directory);
}

static int visit(const BlockDevice *d, void *root) {
        if (!d->directory)
                return -ENODEV;
        if (is_cipher(d))
                return 1;
        if (block_is_ram(d->name))
                return writes_back(root, d) ? -EPERM : 1;
        return d->lowest ? -EPERM : 0;
}

/* directory: of a device in sysfs; NULL for one that nobody knows. */
static bool is_clear(const char *root, const char *directory) {
        return !directory || blockstack_walk(directory, visit, (void *) root) < 0;
}

static bool lies_on(const char *file, const char *target) {
        const char *rest = startswith(file, target);

        return rest && (*rest == '/' || rest[-1] == '/');
}

/* Finds the directory in sysfs of the device that a file is on, for the caller to free. By the text of
 * the mount table, as the file may be deleted and is in use all the same; blanks are escaped there as in
 * /proc/swaps. By the number of the file system, or if that is of no device, as with btrfs, by the device
 * that it was mounted from, which for a swap file is the only one. */
static char *find_below_file(const char *root, const char *file) {
        _cleanup_free_ char *table = attribute_read("%s/proc/self/mountinfo", root), *directory = NULL;
        char *save, *line = table ? strtok_r(table, "\n", &save) : NULL;
        size_t longest = 0;

        for (; line; line = strtok_r(NULL, "\n", &save)) {
                const char *rest = strstr(line, " - ");
                char target[PATH_MAX], source[PATH_MAX];
                unsigned major, minor;

                if (sscanf(line, "%*u %*u %u:%u %*s %4095s", &major, &minor, target) != 3 || !rest ||
                    sscanf(rest, " - %*s %4095s", source) != 1 || !lies_on(file, target) ||
                    strlen(target) < longest)
                        continue;
                longest = strlen(target);
                free(TAKE_PTR(directory));
                directory = major == 0 ? blockstack_find(root, source)
                                       : text_format("%s/sys/dev/block/%u:%u", root, major, minor);
        }
        return TAKE_PTR(directory);
}

char *swap_find_clear(const char *root) {
        _cleanup_free_ char *swaps = attribute_read("%s/proc/swaps", root);
        char *save, *line = swaps ? strtok_r(swaps, "\n", &save) : NULL;

        for (; line; line = strtok_r(NULL, "\n", &save)) {
                _cleanup_free_ char *directory = NULL;

                line[strcspn(line, " \t")] = 0;
                if (line[0] != '/')
                        continue; /* the heading */
                directory = startswith(line, "/dev/") ? blockstack_find(root, line)
                                                      : find_below_file(root, line);
                if (is_clear(root, directory))
                        return strdup(line);
        }
        return NULL;
}
