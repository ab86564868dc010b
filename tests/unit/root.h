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

static inline int make_root(void **state) {
        return mkdtemp(root) ? 0 : -1;
}

static inline int take(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
        return remove(path);
}

static inline int remove_root(void **state) {
        return nftw(root, take, 8, FTW_DEPTH | FTW_PHYS);
}
