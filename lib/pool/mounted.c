/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "mounted.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "fileio.h"

dev_t mounted_at(const char *path) {
        _cleanup_table_ struct libmnt_table *table = mnt_new_table_from_file(MOUNT_TABLE);
        struct libmnt_fs *fs = table ? mnt_table_find_target(table, path, MNT_ITER_BACKWARD) : NULL;

        return fs ? mnt_fs_get_devno(fs) : 0;
}

struct libmnt_fs *mounted_find_id(struct libmnt_table *table, int id) {
        _cleanup_iter_ struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
        struct libmnt_fs *fs;

        while (iter && mnt_table_next_fs(table, iter, &fs) == 0)
                if (mnt_fs_get_id(fs) == id)
                        return fs;
        return NULL;
}

/* Asks the kernel itself, as a file system that has failed does not answer. */
struct libmnt_fs *mounted_find(struct libmnt_table *table, int fd) {
        _cleanup_free_ char *text = attribute_read("/proc/self/fdinfo/%i", fd);
        const char *id = text ? strstr(text, "mnt_id:") : NULL;

        return id ? mounted_find_id(table, atoi(id + strlen("mnt_id:"))) : NULL;
}

dev_t mounted_by(int fd, const char *path) {
        _cleanup_table_ struct libmnt_table *table = mnt_new_table_from_file(MOUNT_TABLE);
        struct libmnt_fs *fs = table ? mounted_find(table, fd) : NULL;

        return fs && streq(mnt_fs_get_target(fs), path) ? mnt_fs_get_devno(fs) : 0;
}

dev_t mounted_pool(const Status *s) {
        dev_t pool = mounted_at(POOL_DIRECTORY);
        struct stat st;

        return pool == 0 && s->mapper && stat(s->mapper, &st) >= 0 ? st.st_rdev : pool;
}

bool mounted_is_private(struct libmnt_fs *fs) {
        const char *name = strstr(mnt_fs_get_root(fs) ?: "", "/systemd-private-");

        return name && streq(name + 1 + strcspn(name + 1, "/"), "/tmp");
}

/* Finds what the upper of the overlay fs is on, by its path; an overlay of the initrd has its options with
 * /sysroot, which is / now. */
static struct libmnt_fs *find_upper(struct libmnt_table *table, struct libmnt_fs *fs) {
        _cleanup_free_ char *upper = NULL;
        char *value;
        size_t size;

        if (!mnt_fs_match_fstype(fs, "overlay") || mnt_fs_get_option(fs, "upperdir", &value, &size) != 0)
                return NULL;
        upper = strndup(value, size);
        return upper ? mnt_table_find_mountpoint(table, startswith(upper, "/sysroot") ?: upper,
                                                 MNT_ITER_BACKWARD)
                     : NULL;
}

/* Asks for the mount, and not for the file system, which may have more than one number. A path that the
 * caller may not look up is judged by what lies nearest above it. */
static int is_on(struct libmnt_table *table, const char *path, dev_t pool) {
        struct libmnt_fs *fs;
        struct statx sx;

        if (statx(AT_FDCWD, path, AT_NO_AUTOMOUNT, STATX_MNT_ID, &sx) >= 0)
                fs = mounted_find_id(table, (int) sx.stx_mnt_id);
        else if (errno == EACCES)
                fs = mnt_table_find_mountpoint(table, path, MNT_ITER_BACKWARD);
        else
                return -errno;
        /* Of no other overlay: what upperdir= names now need not be what it was when that was mounted. */
        if (fs && mnt_fs_get_devno(fs) != pool && streq(mnt_fs_get_target(fs), "/nix/store"))
                fs = find_upper(table, fs);
        return fs && mnt_fs_get_devno(fs) == pool;
}

int mounted_on(const char *path, dev_t pool) {
        _cleanup_table_ struct libmnt_table *table = mnt_new_table_from_file(MOUNT_TABLE);

        return table ? is_on(table, path, pool) : -ENOMEM;
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
        _cleanup_table_ struct libmnt_table *table = mnt_new_table_from_file(MOUNT_TABLE);
        char **const lists[] = { s->mounts, more };
        const char **missing = calloc(count(s->mounts) + count(more) + 1, sizeof(char *));
        dev_t pool = mounted_pool(s);
        size_t n = 0;

        if (!missing)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(lists); i++)
                for (char **m = lists[i]; m && *m; m++)
                        if ((pool == 0 || !table || is_on(table, *m, pool) <= 0) &&
                            !is_among(missing, n, *m))
                                missing[n++] = *m;
        *ret = missing;
        return n;
}

/* Tells whether the options of an overlay name a directory on path, as its upper or as a layer below. */
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

/* Tells whether the options of an overlay have a layer by a name that is relative: to the directory in which
 * its container engine keeps its data, as one with many layers does. */
static bool options_are_relative(const char *options) {
        static const char *const keys[] = { "lowerdir=", "upperdir=" };

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                const char *p = strstr(options, keys[i]);
                if (p && p[strlen(keys[i])] != '/')
                        return true;
        }
        return false;
}

/* Goes by the text: where a layer was mounted may be unmounted by now, and the overlay still has it. An
 * overlay whose layers have relative names is taken to have them where it is mounted itself. */
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
        _cleanup_table_ struct libmnt_table *table = mnt_new_table_from_file(MOUNT_TABLE);
        _cleanup_iter_ struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
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
