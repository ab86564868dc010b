/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "mounts.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>

#include "beneath.h"
#include "fileio.h"
#include "log.h"
#include "mountcalls.h"
#include "mounted.h"
#include "parse.h"
#include "place.h"
#include "pool.h"

static bool is_old(const OldPools *old, dev_t number) {
        for (size_t i = 0; number != 0 && i < old->n; i++)
                if (old->numbers[i] == number)
                        return true;
        return false;
}

void old_pools_add(OldPools *old, dev_t number) {
        if (number == 0 || is_old(old, number))
                return;
        if (old->n == ELEMENTSOF(old->numbers))
                memmove(old->numbers, old->numbers + 1, --old->n * sizeof(dev_t));
        old->numbers[old->n++] = number;
}

void old_pools_read(OldPools *old) {
        _cleanup_fclose_ FILE *f = fopen(RENEWING_PATH, "re");
        uint64_t number;

        while (f && fscanf(f, "%" SCNu64, &number) == 1)
                old_pools_add(old, number);
}

int old_pools_write(const OldPools *old) {
        char text[ELEMENTSOF(old->numbers) * 21 + 1] = "";
        int r;

        for (size_t i = 0, l = 0; i < old->n; i++)
                l += sprintf(text + l, "%" PRIu64 " ", (uint64_t) old->numbers[i]);
        r = file_write_atomic(RENEWING_PATH, text, 0644);
        if (r < 0)
                return log_error_errno(r, "Failed to write '%s'", RENEWING_PATH);
        return 0;
}

static int detach(int place) {
        char path[32];

        snprintf(path, sizeof(path), "/proc/self/fd/%i", place);
        return umount2(path, MNT_DETACH) < 0 ? -errno : 0;
}

/* Mounts tree on place, or instead of the mount that place is, which is at path. Where the kernel cannot do
 * this the old one stays below the new one. */
static int attach(int tree, int place, const char *path, bool instead) {
        const unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;

        if (instead) {
                int r = beneath_attach(tree, place, path);
                if (r != -EOPNOTSUPP)
                        return r < 0 ? r : detach(place);
        }
        return move_mount(tree, "", place, "", flags) < 0 ? -errno : 0;
}

/* Clones the directory path of the pool, with the options of d, as a mount that is nowhere yet: a
 * descriptor. */
static int clone_directory(const char *path, const DirSpec *d) {
        _cleanup_close_ int directory = place_open(POOL_DIRECTORY, path, false, NULL), tree = -EBADF;
        struct mount_attr attributes = {
                .attr_set = d->noexec ? MOUNT_ATTR_NOEXEC : 0,
                .attr_clr = (d->dev ? MOUNT_ATTR_NODEV : 0) | (d->suid ? MOUNT_ATTR_NOSUID : 0),
        };

        if (directory < 0)
                return directory;
        tree = open_tree(directory, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
        if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) < 0)
                return -errno;
        return TAKE_FD(tree);
}

/* Opens the mount point of d, or what is mounted there; *ret is its path as the mount table has it. */
static int open_place(const char *root, const DirSpec *d, char **ret) {
        _cleanup_free_ char *real = NULL;
        _cleanup_close_ int place = place_open(root, d->path, true, &real);

        if (place == -ELOOP)
                return log_error_errno(place,
                                       "'%s' is not mounted: on its way is a link that others than root can "
                                       "have made",
                                       d->path);
        if (place < 0)
                return log_error_errno(place, "Failed to open or make the mount point '%s%s'", root,
                                       d->path);
        if (asprintf(ret, "%s%s", root, real) < 0)
                return log_oom();
        return TAKE_FD(place);
}

static void mount_directory(const char *root, const DirSpec *d, const OldPools *old, bool over) {
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int place = open_place(root, d, &path), tree = -EBADF;
        dev_t top;
        int r;

        if (place < 0)
                return;
        top = mounted_by(place, path);
        if (top == mounted_at(POOL_DIRECTORY) || (top != 0 && !over && !is_old(old, top)))
                return;
        r = tree = clone_directory(d->path, d);
        if (r >= 0)
                r = attach(tree, place, path, is_old(old, top));
        if (r < 0)
                log_error_errno(r, "Failed to mount the pool on '%s'", d->path);
}

static int compare_paths(const void *a, const void *b) {
        return strcmp((*(const DirSpec *const *) a)->path, (*(const DirSpec *const *) b)->path);
}

/* The outer ones first, so that none covers another. */
static void mount_directories(const Config *c, const char *root, const OldPools *old, bool over) {
        const DirSpec *sorted[CONFIG_MOUNTS_MAX];

        for (size_t i = 0; i < c->n_mounts; i++)
                sorted[i] = &c->mounts[i];
        qsort(sorted, c->n_mounts, sizeof(*sorted), compare_paths);
        for (size_t i = 0; i < c->n_mounts; i++)
                mount_directory(root, sorted[i], old, over);
}

void mounts_bind(const Config *c, const char *root) {
        mount_directories(c, root, &(OldPools) {}, true);
}

/* Gives the mount point that path is below, or NULL. */
static const DirSpec *find_above(const Config *c, const char *path) {
        for (size_t i = 0; i < c->n_mounts; i++) {
                const char *rest = startswith(path, c->mounts[i].path);
                if (rest && *rest == '/')
                        return &c->mounts[i];
        }
        return NULL;
}

/* Makes PATH/systemd-private-NAME/tmp, as the service manager does: whoever stops the service removes it. */
static int make_private(const char *path) {
        _cleanup_free_ char *above = strndup(path, strlen(path) - strlen("/tmp"));
        int r;

        if (!above)
                return -ENOMEM;
        r = pool_make_directory(&(DirSpec) { .path = above, .mode = 0700 });
        if (r < 0)
                return r;
        return pool_make_directory(&(DirSpec) { .path = (char *) path, .mode = 01777 });
}

/* Opens path if what is mounted there is an old pool; else -ENOENT, or as place_open(). */
static int open_old(const char *path, const OldPools *old) {
        _cleanup_free_ char *real = NULL;
        _cleanup_close_ int place = place_open("", path, false, &real);

        if (place < 0)
                return place;
        return is_old(old, mounted_by(place, real)) ? TAKE_FD(place) : -ENOENT;
}

/* Mounts tree on target in the place of an old pool, in the mount namespace. */
static int attach_in(int namespace, const char *target, int tree, const OldPools *old) {
        _cleanup_close_ int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), place = -EBADF;
        int r;

        if (own < 0 || setns(namespace, CLONE_NEWNS) < 0)
                return -errno;
        r = place = open_old(target, old);
        if (place >= 0)
                r = attach(tree, place, target, true);
        /* Nothing that follows may happen in the namespace of a service. */
        if (setns(own, CLONE_NEWNS) < 0)
                abort();
        return r;
}

/* Replaces the mount fs of the namespace, a private directory, if its mount point is one of c's. */
static int replace_private(const Config *c, const OldPools *old, int namespace, struct libmnt_fs *fs) {
        const char *path = mnt_fs_get_root(fs);
        const DirSpec *d = find_above(c, path);
        _cleanup_close_ int tree = -EBADF;
        int r;

        if (!d)
                return 0;
        r = make_private(path);
        if (r < 0)
                return r;
        tree = clone_directory(path, d);
        return tree < 0 ? tree : attach_in(namespace, mnt_fs_get_target(fs), tree, old);
}

/* own: the number of this process's namespace. */
static void replace_in_namespace(const Config *c, const OldPools *old, uint64_t pid, ino_t own) {
        _cleanup_table_ struct libmnt_table *table = NULL;
        _cleanup_iter_ struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
        char mountinfo[64], path[64];
        _cleanup_close_ int namespace = -EBADF;
        struct libmnt_fs *fs;
        struct stat st;

        snprintf(mountinfo, sizeof(mountinfo), "/proc/%" PRIu64 "/mountinfo", pid);
        snprintf(path, sizeof(path), "/proc/%" PRIu64 "/ns/mnt", pid);
        namespace = open(path, O_RDONLY | O_CLOEXEC);
        if (namespace < 0 || fstat(namespace, &st) < 0 || st.st_ino == own)
                return;
        table = mnt_new_table_from_file(mountinfo);
        while (table && iter && mnt_table_next_fs(table, iter, &fs) == 0) {
                int r;

                if (!is_old(old, mnt_fs_get_devno(fs)) || !mounted_is_private(fs))
                        continue;
                r = replace_private(c, old, namespace, fs);
                if (r < 0)
                        log_warning_errno(r, "Failed to replace the private '%s' of process %" PRIu64,
                                          mnt_fs_get_target(fs), pid);
        }
}

void mounts_replace(const Config *c, const OldPools *old, bool over) {
        _cleanup_closedir_ DIR *d = opendir("/proc");
        struct stat own;
        uint64_t pid;

        mount_directories(c, "", old, over);
        if (stat("/proc/self/ns/mnt", &own) < 0)
                return;
        for (struct dirent *e; d && (e = readdir(d));)
                if (parse_unsigned(e->d_name, INT32_MAX, &pid) >= 0)
                        replace_in_namespace(c, old, pid, own.st_ino);
}

void mounts_abandon(const Config *c, const OldPools *old) {
        for (size_t i = 0; i < c->n_mounts; i++) {
                _cleanup_close_ int place = open_old(c->mounts[i].path, old);
                if (place >= 0)
                        pool_abandon(place, ".");
        }
}

int mounts_detach(const char *path, const OldPools *old) {
        for (;;) {
                _cleanup_close_ int place = open_old(path, old);
                int r;

                if (place < 0)
                        return 0;
                r = detach(place);
                if (r < 0)
                        return log_error_errno(r, "Failed to unmount '%s'", path);
        }
}
