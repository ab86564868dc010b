/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "blockstack.h"

#include <fnmatch.h>
#include <glob.h>

#include "fileio.h"
#include "text.h"

#define DEPTH_MAX 8U

/* Resolves the directory of a device, and of a partition that of its disk. For the caller to free, or
 * NULL. */
static char *find_disk(const char *directory) {
        char *disk = realpath(directory, NULL);
        _cleanup_free_ char *partition = disk ? attribute_read("%s/partition", disk) : NULL;

        if (partition)
                *strrchr(disk, '/') = 0;
        return disk;
}

/* Compares the holders of the device behind the link directory with the device above it: another device that
 * has come in the place of one that is gone has its name, and does not hold anything. */
static bool is_held_by(const char *directory, const char *above) {
        _cleanup_free_ char *holder = text_format("%s/holders/%s", directory, above);

        return access(holder, F_OK) >= 0;
}

static int walk(const char *directory, const char *above, unsigned depth, BlockVisitor visit,
                void *userdata) {
        _cleanup_free_ char *disk = NULL, *pattern = NULL;
        _cleanup_(globfree) glob_t below = {};
        int r;

        if (depth < DEPTH_MAX && (!above || is_held_by(directory, above)))
                disk = find_disk(directory);
        if (disk) {
                pattern = text_format("%s/slaves/*", disk);
                if (glob(pattern, GLOB_NOSORT, NULL, &below) == GLOB_NOSPACE)
                        return -ENOMEM;
        }
        const BlockDevice d = {
                .name = strrchr(disk ?: directory, '/') + 1,
                .directory = disk,
                .lowest = below.gl_pathc == 0,
        };
        r = visit(&d, userdata);
        for (size_t i = 0; r == 0 && i < below.gl_pathc; i++)
                r = walk(below.gl_pathv[i], d.name, depth + 1, visit, userdata);
        return r < 0 ? r : 0;
}

int blockstack_walk(const char *directory, BlockVisitor visit, void *userdata) {
        return walk(directory, NULL, 0, visit, userdata);
}

static char *find_mapping(const char *root, const char *mapping) {
        _cleanup_(globfree) glob_t found = {};
        _cleanup_free_ char *pattern = text_format("%s/sys/class/block/dm-*", root);

        if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
                return NULL;
        for (size_t i = 0; i < found.gl_pathc; i++) {
                _cleanup_free_ char *name = attribute_read("%s/dm/name", found.gl_pathv[i]);
                if (name && streq(name, mapping))
                        return strdup(found.gl_pathv[i]);
        }
        return NULL;
}

char *blockstack_find(const char *root, const char *node) {
        const char *mapping = startswith(node, "/dev/mapper/"), *name = startswith(node, "/dev/");

        if (mapping)
                return find_mapping(root, mapping);
        return name ? text_format("%s/sys/class/block/%s", root, name) : NULL;
}

bool block_is_ram(const char *name) {
        return fnmatch("ram[0-9]*", name, 0) == 0 || fnmatch("zram[0-9]*", name, 0) == 0 ||
               fnmatch("nullb[0-9]*", name, 0) == 0;
}
