/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "mounted.h"

#include <libmount.h>
#include <sys/stat.h>

#include "fileio.h"
#include "parse.h"

DEFINE_TRIVIAL_CLEANUP_FUNC(struct libmnt_table *, mnt_unref_table)

#define MOUNT_TABLE "/proc/self/mountinfo"

int mounted_pool(dev_t *ret) {
        struct stat pool, parent;

        if (stat(POOL_DIRECTORY, &pool) < 0 || stat(STATUS_DIRECTORY, &parent) < 0)
                return -errno;
        if (pool.st_dev == parent.st_dev)
                return -ENOENT;
        *ret = pool.st_dev;
        return 0;
}

dev_t mounted_at(const char *path) {
        _cleanup_(mnt_unref_tablep) struct libmnt_table *table = mnt_new_table_from_file(MOUNT_TABLE);
        struct libmnt_fs *fs = table ? mnt_table_find_target(table, path, MNT_ITER_BACKWARD) : NULL;

        return fs ? mnt_fs_get_devno(fs) : 0;
}

/* The number of the mount that fd is in: by the kernel's own word of fd, as a file system that has failed
 * does not answer. */
static int read_mount_id(int fd) {
        _cleanup_free_ char *path = NULL, *text = NULL;
        const char *id;

        if (asprintf(&path, "/proc/self/fdinfo/%i", fd) < 0 || file_read(path, 4 * KIB, &text) < 0)
                return -1;
        id = strstr(text, "mnt_id:");
        return id ? atoi(id + strlen("mnt_id:")) : -1;
}

DEFINE_TRIVIAL_CLEANUP_FUNC(struct libmnt_iter *, mnt_free_iter)

dev_t mounted_by(int fd, const char *path) {
        _cleanup_(mnt_unref_tablep) struct libmnt_table *table = mnt_new_table_from_file(MOUNT_TABLE);
        _cleanup_(mnt_free_iterp) struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
        int id = read_mount_id(fd);
        struct libmnt_fs *fs;

        while (table && iter && mnt_table_next_fs(table, iter, &fs) == 0)
                if (mnt_fs_get_id(fs) == id)
                        return streq(mnt_fs_get_target(fs), path) ? mnt_fs_get_devno(fs) : 0;
        return 0;
}

bool mounted_is_private(struct libmnt_fs *fs) {
        const char *name = strstr(mnt_fs_get_root(fs) ?: "", "/systemd-private-");

        return name && streq(name + 1 + strcspn(name + 1, "/"), "/tmp");
}

dev_t mounted_number(const Status *s) {
        dev_t number = mounted_at(POOL_DIRECTORY);
        struct stat st;

        if (number == 0 && s->mapper && stat(s->mapper, &st) >= 0)
                number = st.st_rdev;
        return number;
}

/* An overlay of the initrd has its options with /sysroot, which is / now. */
static bool upper_is_on(const char *upper, dev_t pool) {
        struct stat st;

        upper = startswith(upper, "/sysroot") ?: upper;
        return stat(upper, &st) >= 0 && st.st_dev == pool;
}

/* Whether the file system with this number is the overlay of /nix/store, and writes to the pool. Of no
 * other: what upperdir= names now need not be what it was when somebody mounted it. */
static bool overlay_is_on(dev_t number, dev_t pool) {
        _cleanup_(mnt_unref_tablep) struct libmnt_table *table = mnt_new_table_from_file(MOUNT_TABLE);
        struct libmnt_fs *fs = table ? mnt_table_find_target(table, "/nix/store", MNT_ITER_BACKWARD) : NULL;
        char *value;
        size_t size;

        if (!fs || mnt_fs_get_devno(fs) != number || !mnt_fs_match_fstype(fs, "overlay") ||
            mnt_fs_get_option(fs, "upperdir", &value, &size) != 0)
                return false;
        _cleanup_free_ char *upper = strndup(value, size);
        return upper && upper_is_on(upper, pool);
}

/* What lies nearest above a path that cannot be looked up. */
static bool table_has_on(const char *path, dev_t pool) {
        _cleanup_(mnt_unref_tablep) struct libmnt_table *table = mnt_new_table_from_file(MOUNT_TABLE);
        struct libmnt_fs *fs = table ? mnt_table_find_mountpoint(table, path, MNT_ITER_BACKWARD) : NULL;

        return fs && mnt_fs_get_devno(fs) == pool;
}

int mounted_on(const char *path, dev_t pool) {
        struct stat st;

        if (stat(path, &st) < 0)
                return errno == EACCES ? table_has_on(path, pool) : -errno;
        return st.st_dev == pool || overlay_is_on(st.st_dev, pool);
}

static size_t count(char **list) {
        size_t n = 0;

        while (list && list[n])
                n++;
        return n;
}

static bool is_among(const char **list, size_t n, const char *s) {
        for (size_t i = 0; i < n; i++)
                if (streq(list[i], s))
                        return true;
        return false;
}

int mounted_missing(const Status *s, char **more, const char ***ret) {
        char **const lists[] = { s->mounts, more };
        const char **missing = calloc(count(s->mounts) + count(more) + 1, sizeof(char *));
        size_t n = 0;
        dev_t pool;
        bool none;

        if (!missing)
                return -ENOMEM;
        none = mounted_pool(&pool) < 0;
        for (size_t i = 0; i < ELEMENTSOF(lists); i++)
                for (char **m = lists[i]; m && *m; m++)
                        if ((none || mounted_on(*m, pool) <= 0) && !is_among(missing, n, *m))
                                missing[n++] = *m;
        *ret = missing;
        return n;
}

/* Whether the options of an overlay name a directory on path, as its upper or as a layer below. */
static bool options_name(const char *options, const char *path) {
        static const char sysroot[] = "/sysroot";
        size_t l = strlen(path), m = strlen(sysroot);

        for (const char *p = options; (p = strstr(p, path)); p += l) {
                size_t start = p - options;
                if (start > m && strncmp(p - m, sysroot, m) == 0)
                        start -= m;
                if (start > 0 && strchr("=:", options[start - 1]) && strchr("/:,", p[l]))
                        return true;
        }
        return false;
}

/* Whether it has a layer by a name that is relative: to the directory in which its container engine keeps
 * its data, as one with many layers does. */
static bool options_are_relative(const char *options) {
        static const char *const keys[] = { "lowerdir=", "upperdir=" };

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                const char *p = strstr(options, keys[i]);
                if (p && p[strlen(keys[i])] != '/')
                        return true;
        }
        return false;
}

/* By the text: where a layer was mounted may be unmounted by now, and the overlay still has it. One whose
 * layers nobody can tell has them where it is mounted itself. */
bool mounted_overlay_names(struct libmnt_fs *fs, char **paths) {
        const char *options = mnt_fs_get_fs_options(fs), *target = mnt_fs_get_target(fs);

        if (!options || !mnt_fs_match_fstype(fs, "overlay"))
                return false;
        for (char **p = paths; p && *p; p++) {
                const char *below = startswith(target, *p);
                if (options_name(options, *p) || (below && *below == '/' && options_are_relative(options)))
                        return true;
        }
        return options_name(options, POOL_DIRECTORY);
}

int mounted_in_use(const Status *s) {
        _cleanup_(mnt_unref_tablep) struct libmnt_table *table = mnt_new_table_from_file(MOUNT_TABLE);
        _cleanup_(mnt_free_iterp) struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
        struct libmnt_fs *fs, *pool;

        if (!table || !iter)
                return -ENOMEM;
        pool = mnt_table_find_target(table, POOL_DIRECTORY, MNT_ITER_BACKWARD);
        if (!pool)
                return -ENOENT;
        while (mnt_table_next_fs(table, iter, &fs) == 0)
                if ((fs != pool && mnt_fs_get_devno(fs) == mnt_fs_get_devno(pool)) ||
                    mounted_overlay_names(fs, s->mounts))
                        return 1;
        return 0;
}
