/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A directory of the test's own that stands for /, made and removed by the group's fixtures. */

#include <ftw.h>

#include "fileio.h"
#include "test.h"

static char root[] = "/tmp/test-root-XXXXXX";

/* A file below it, with its directories. */
static inline void put(const char *path, const char *text) {
        _cleanup_free_ char *full = NULL;

        assert_true(asprintf(&full, "%s%s", root, path) > 0);
        char *slash = strrchr(full, '/');
        *slash = 0;
        assert_int_equal(mkdir_parents(full, 0755), 0);
        *slash = '/';
        assert_int_equal(file_write_atomic(full, text, 0644), 0);
}

/* A link below it to another path below it. */
static inline void put_link(const char *path, const char *target) {
        _cleanup_free_ char *full = NULL, *to = NULL, *parent = NULL;

        assert_true(asprintf(&full, "%s%s", root, path) > 0);
        assert_true(asprintf(&to, "%s%s", root, target) > 0);
        parent = strdup(full);
        *strrchr(parent, '/') = 0;
        assert_int_equal(mkdir_parents(parent, 0755), 0);
        assert_int_equal(symlink(to, full), 0);
}

/* A block device as sysfs has it: its directory below /sys/devices, and its name in the class; with text
 * in one attribute of it, unless that is NULL. */
static inline void put_device(const char *directory, const char *attribute, const char *text) {
        _cleanup_free_ char *path = NULL, *file = NULL, *class = NULL, *block = NULL;
        const char *name = strrchr(directory, '/') + 1;

        assert_true(asprintf(&path, "/sys/devices/%s", directory) > 0);
        assert_true(asprintf(&file, "%s/%s", path, attribute ?: "size") > 0);
        assert_true(asprintf(&class, "/sys/class/block/%s", name) > 0);
        assert_true(asprintf(&block, "/sys/block/%s", name) > 0);
        put(file, text ?: "8\n");
        put_link(class, path);
        put_link(block, path);
}

/* The device "above" lies on the device "below", which holds it unless it is another one of that name. */
static inline void put_below(const char *above, const char *below, bool held) {
        _cleanup_free_ char *slave = NULL, *holder = NULL, *target = NULL;

        assert_true(asprintf(&slave, "/sys/class/block/%s/slaves/%s", above, below) > 0);
        assert_true(asprintf(&target, "/sys/class/block/%s", below) > 0);
        assert_true(asprintf(&holder, "/sys/class/block/%s/holders/%s", below, above) > 0);
        put_link(slave, target);
        if (held)
                put(holder, "");
}

static inline int make_root(void **state) {
        return mkdtemp(root) ? 0 : -1;
}

static inline int take(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
        return remove(path);
}

static inline int remove_root(void **state) {
        return nftw(root, take, 16, FTW_DEPTH | FTW_PHYS);
}
