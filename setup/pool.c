/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "pool.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "fileio.h"
#include "log.h"
#include "mounted.h"
#include "mounting.h"

static int make_directory(const DirSpec *d) {
        _cleanup_free_ char *path = NULL;
        int r;

        if (asprintf(&path, POOL_DIRECTORY "%s", d->path) < 0)
                return -ENOMEM;
        r = mkdir_parents(path, 0755);
        if (r < 0)
                return r;
        /* In this order: a change of the owner may clear set-id bits. */
        return chown(path, d->uid, d->gid) < 0 || chmod(path, d->mode) < 0 ? -errno : 0;
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
                int r = make_directory(d);
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
                r = filesystem_mount(fs, node, POOL_DIRECTORY, discard, s);
        return r < 0 ? r : finish(filesystem_name(fs), layout, s);
}

/* noswap: what was to be encrypted must not reach a swap device instead. As many inodes as systemd gives
 * /tmp: the kernel's own limit, by the RAM, is half a page each. */
int pool_mount_tmpfs(const char *size, const PoolLayout *layout, Status *s) {
        _cleanup_free_ char *options = NULL;
        char message[MOUNT_MESSAGE_MAX];
        struct statvfs v;
        int r;

        r = make_mount_point(s);
        if (r < 0)
                return r;
        if (asprintf(&options, "nosuid,nodev,mode=0700,noswap,nr_inodes=1m,size=%s", size) < 0)
                return status_fail(s, REASON_INTERNAL, ENOMEM, "Failed to mount");
        if (mount_it("ccvm-scratch", POOL_DIRECTORY, "tmpfs", options, message) < 0)
                return status_fail(s, REASON_MOUNT, 0,
                                   "Failed to mount a tmpfs with options '%s' on '%s': %s", options,
                                   POOL_DIRECTORY, message);
        s->size_bytes = statvfs(POOL_DIRECTORY, &v) < 0 ? 0 : (uint64_t) v.f_blocks * v.f_frsize;
        return finish("tmpfs", layout, s);
}

int pool_bind(const DirSpec *d) {
        _cleanup_free_ char *source = NULL;
        char message[MOUNT_MESSAGE_MAX];
        int r;

        if (asprintf(&source, POOL_DIRECTORY "%s", d->path) < 0)
                return log_oom();
        r = mkdir_parents(d->path, 0755);
        if (r < 0)
                return log_error_errno(r, "Failed to create '%s'", d->path);
        r = mount_it(source, d->path, NULL, dirspec_bind_options(d), message);
        if (r < 0)
                log_error("Failed to mount the pool on '%s': %s", d->path, message);
        return r;
}

/* One number for all file systems that have it; newer headers call it FS_IOC_SHUTDOWN. */
#define IOC_SHUTDOWN _IOR('X', 125, uint32_t)
#define SHUTDOWN_NO_LOG_FLUSH 2U

void pool_abandon(const char *path) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        (void) ioctl(fd, IOC_SHUTDOWN, &(uint32_t) { SHUTDOWN_NO_LOG_FLUSH });
}

/* By the mount table: a file system that has shut down does not tell of itself. */
int pool_unmount(const char *path, dev_t number) {
        _cleanup_free_ char *real = realpath(path, NULL);
        int found = 0;

        while (real && number != 0 && mounted_at(real) == number) {
                if (umount2(real, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
                        return -errno;
                found = 1;
        }
        return found;
}

void pool_detach(void) {
        (void) umount2(POOL_DIRECTORY, MNT_DETACH | UMOUNT_NOFOLLOW);
}
