/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "mounts.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "fileio.h"
#include "log.h"
#include "mounted.h"
#include "mount.h"
#include "place.h"

/* The pool's own directory, by the same rules as a mount point: programs may have been at work above it. */
int pool_make_directory(const DirSpec *d) {
        _cleanup_close_ int place = place_open(POOL_DIRECTORY, d->path, true, NULL), fd = -EBADF;

        if (place < 0)
                return place;
        fd = openat(place, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        /* In this order: a change of the owner may clear set-id bits. */
        return fd < 0 || fchown(fd, d->uid, d->gid) < 0 || fchmod(fd, d->mode) < 0 ? -errno : 0;
}

static int make_directories(const PoolLayout *layout, Status *s) {
        static const DirSpec nix[] = {
                { .path = (char *) "/nix", .mode = 0755 },
                { .path = (char *) "/nix/store", .mode = 0755 },
                { .path = (char *) "/nix/work", .mode = 0755 },
        };
        size_t n_nix = layout->nix_store ? ELEMENTSOF(nix) : 0;

        for (size_t i = 0; i < layout->n_mounts + n_nix; i++) {
                const DirSpec *d = i < layout->n_mounts ? &layout->mounts[i] : &nix[i - layout->n_mounts];
                int r = pool_make_directory(d);
                if (r < 0)
                        return status_fail(s, REASON_MOUNT, r,
                                           "Failed to make the directory for '%s' in the pool", d->path);
        }
        return 0;
}

static int note_mounts(const PoolLayout *layout, Status *s) {
        const char *nix[] = { layout->nix_store ? "/nix/.rw-store" : NULL,
                              layout->nix_overlay ? "/nix/store" : NULL };
        size_t n = 0;

        status_free_mounts(s);
        s->mounts = calloc(layout->n_mounts + ELEMENTSOF(nix) + 1, sizeof(char *));
        if (!s->mounts)
                return -ENOMEM;
        for (size_t i = 0; i < layout->n_mounts; i++)
                if (!(s->mounts[n++] = strdup(layout->mounts[i].path)))
                        return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(nix) && nix[i]; i++)
                if (!(s->mounts[n++] = strdup(nix[i])))
                        return -ENOMEM;
        return 0;
}

int pool_extend(const PoolLayout *layout, Status *s) {
        int r = make_directories(layout, s);

        if (r >= 0 && note_mounts(layout, s) < 0)
                r = status_fail(s, REASON_INTERNAL, ENOMEM, "Failed to note the mounts");
        return r;
}

/* The pool is mounted; makes the rest, or detaches it again. */
static int finish(const char *fs_type, const PoolLayout *layout, Status *s) {
        int r;

        /* People go in through the mount points, not through here. */
        r = chmod(POOL_DIRECTORY, 0700) < 0
                    ? status_fail(s, REASON_MOUNT, errno, "Failed to close off the pool")
                    : 0;
        if (r >= 0)
                r = pool_extend(layout, s);
        if (r >= 0 && !(s->fs_type = strdup(fs_type)))
                r = status_fail(s, REASON_INTERNAL, ENOMEM, "Failed to note the file system");
        if (r < 0)
                pool_detach();
        return r;
}

static int make_mount_point(Status *s) {
        int r = mkdir_parents(POOL_DIRECTORY, 0755);

        return r < 0 ? status_fail(s, REASON_MOUNT, r, "Failed to create '%s'", POOL_DIRECTORY) : 0;
}

int pool_mount_disk(const FileSystem *fs, const char *node, bool discard, const PoolLayout *layout,
                    Status *s) {
        int r;

        r = make_mount_point(s);
        if (r >= 0)
                r = filesystem_mount(fs, node, POOL_DIRECTORY, discard, &s->failure);
        return r < 0 ? r : finish(filesystem_name(fs), layout, s);
}

/* noswap: what was to be encrypted must not reach a swap device instead. As many inodes as systemd gives
 * /tmp: the kernel's own limit, by the RAM, is half a page each. */
int pool_mount_tmpfs(const char *size, const PoolLayout *layout, Status *s) {
        _cleanup_free_ char *options = NULL;
        struct statvfs v;
        int r;

        r = make_mount_point(s);
        if (r < 0)
                return r;
        if (asprintf(&options, "nosuid,nodev,mode=0700,noswap,nr_inodes=1m,size=%s", size) < 0)
                return status_fail(s, REASON_INTERNAL, ENOMEM, "Failed to mount");
        r = mount_fs(POOL_TMPFS, POOL_DIRECTORY, "tmpfs", options, &s->failure);
        if (r < 0)
                return r;
        s->size_bytes = statvfs(POOL_DIRECTORY, &v) < 0 ? 0 : (uint64_t) v.f_blocks * v.f_frsize;
        return finish("tmpfs", layout, s);
}

static int compare_paths(const void *a, const void *b) {
        return strcmp((*(const DirSpec *const *) a)->path, (*(const DirSpec *const *) b)->path);
}

size_t pool_sort(const PoolLayout *layout, const DirSpec *ret[static POOL_MOUNTS_MAX]) {
        for (size_t i = 0; i < layout->n_mounts; i++)
                ret[i] = &layout->mounts[i];
        qsort(ret, layout->n_mounts, sizeof(*ret), compare_paths);
        return layout->n_mounts;
}

int pool_clone(const char *path, const DirSpec *d) {
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

static int detach(int place) {
        char path[32];

        snprintf(path, sizeof(path), "/proc/self/fd/%i", place);
        return umount2(path, MNT_DETACH) < 0 ? -errno : 0;
}

#ifndef MOVE_MOUNT_BENEATH
#define MOVE_MOUNT_BENEATH 0x00000200 /* Linux 6.5 */
#endif

int pool_attach(int tree, int place, bool instead) {
        const unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;

        if (instead && move_mount(tree, "", place, "", flags | MOVE_MOUNT_BENEATH) >= 0)
                return detach(place);
        return move_mount(tree, "", place, "", flags) < 0 ? -errno : 0;
}

/* A mount point, or what is mounted there; *ret is its path as the mount table has it. */
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

static int bind_at(int place, const DirSpec *d, bool instead) {
        _cleanup_close_ int tree = pool_clone(d->path, d);
        int r = tree < 0 ? tree : pool_attach(tree, place, instead);

        return r < 0 ? log_error_errno(r, "Failed to mount the pool on '%s'", d->path) : 0;
}

int pool_bind(const char *root, const DirSpec *d) {
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int place = open_place(root, d, &path);

        if (place < 0)
                return place;
        return mounted_by(place, path) == mounted_at(POOL_DIRECTORY) ? 0 : bind_at(place, d, false);
}

int pool_replace(const DirSpec *d, const OldPools *old, bool over) {
        dev_t pool = mounted_at(POOL_DIRECTORY), top;
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int place = open_place("", d, &path);

        if (place < 0)
                return place;
        top = mounted_by(place, path);
        if (top != 0 && top == pool)
                return 0;
        if (old_pools_have(old, top))
                return bind_at(place, d, true);
        return top == 0 || over ? bind_at(place, d, false) : 0;
}

/* One number for all file systems that have it; newer headers call it FS_IOC_SHUTDOWN. */
#define IOC_SHUTDOWN _IOR('X', 125, uint32_t)
#define SHUTDOWN_NO_LOG_FLUSH 2U

void pool_abandon(int directory, const char *path) {
        _cleanup_close_ int fd = openat(directory, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        (void) ioctl(fd, IOC_SHUTDOWN, &(uint32_t) { SHUTDOWN_NO_LOG_FLUSH });
}

int pool_unmount(const char *path, const OldPools *old) {
        for (int found = 0;; found = 1) {
                _cleanup_free_ char *real = NULL;
                _cleanup_close_ int place = place_open("", path, false, &real);
                int r;

                if (place < 0 || !old_pools_have(old, mounted_by(place, real)))
                        return found;
                r = detach(place);
                if (r < 0)
                        return r;
        }
}

void pool_detach(void) {
        (void) umount2(POOL_DIRECTORY, MNT_DETACH | UMOUNT_NOFOLLOW);
}
