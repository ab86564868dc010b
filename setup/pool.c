/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "pool.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "luks.h"
#include "place.h"

#define SOURCE_TMPFS "ccvm-scratch"

/* The pool's own directory, by the same rules as a mount point: programs may have been at work above it. */
int pool_make_directory(const DirSpec *d) {
        _cleanup_close_ int place = place_open(POOL_DIRECTORY, d->path, true, NULL), fd = -EBADF;

        if (place < 0)
                return place;
        fd = openat(place, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        /* In this order: a change of the owner may clear set-id bits. */
        return fd < 0 || fchown(fd, d->uid, d->gid) < 0 || fchmod(fd, d->mode) < 0 ? -errno : 0;
}

static int make_directories(const Config *c, Status *s) {
        static const DirSpec nix[] = {
                { .path = (char *) "/nix", .mode = 0755 },
                { .path = (char *) "/nix/store", .mode = 0755 },
                { .path = (char *) "/nix/work", .mode = 0755 },
        };
        size_t n_nix = c->nix_store != NIX_STORE_NO ? ELEMENTSOF(nix) : 0;

        for (size_t i = 0; i < c->n_mounts + n_nix; i++) {
                const DirSpec *d = i < c->n_mounts ? &c->mounts[i] : &nix[i - c->n_mounts];
                int r = pool_make_directory(d);
                if (r < 0)
                        return status_fail(s, REASON_MOUNT, r,
                                           "Failed to make the directory for '%s' in the pool", d->path);
        }
        return 0;
}

static int note_mounts(const Config *c, Status *s) {
        const char *nix[] = { c->nix_store != NIX_STORE_NO ? "/nix/.rw-store" : NULL,
                              c->nix_store == NIX_STORE_OVERLAY ? "/nix/store" : NULL };
        size_t n = 0;

        status_free_mounts(s);
        s->mounts = calloc(c->n_mounts + ELEMENTSOF(nix) + 1, sizeof(char *));
        if (!s->mounts)
                return -ENOMEM;
        for (size_t i = 0; i < c->n_mounts; i++)
                if (!(s->mounts[n++] = strdup(c->mounts[i].path)))
                        return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(nix) && nix[i]; i++)
                if (!(s->mounts[n++] = strdup(nix[i])))
                        return -ENOMEM;
        return 0;
}

int pool_extend(const Config *c, Status *s) {
        int r;

        r = make_directories(c, s);
        if (r < 0)
                return r;
        if (note_mounts(c, s) < 0)
                return status_fail(s, REASON_INTERNAL, ENOMEM, "Failed to note the mounts");
        return 0;
}

static int try_to_fill(const char *fs_type, const Config *c, Status *s) {
        int r;

        /* People go in through the mount points, not through here. */
        if (chmod(POOL_DIRECTORY, 0700) < 0)
                return status_fail(s, REASON_MOUNT, errno, "Failed to close off the pool");
        r = pool_extend(c, s);
        if (r < 0)
                return r;
        s->fs_type = strdup(fs_type);
        if (!s->fs_type)
                return status_fail(s, REASON_INTERNAL, ENOMEM, "Failed to note the file system");
        return 0;
}

/* Makes what the mounted pool is to have, or detaches it again. */
static int fill(const char *fs_type, const Config *c, Status *s) {
        int r = try_to_fill(fs_type, c, s);

        if (r < 0)
                pool_detach();
        return r;
}

static int make_mount_point(Status *s) {
        if (mkdir(POOL_DIRECTORY, 0755) < 0 && errno != EEXIST)
                return status_fail(s, REASON_MOUNT, errno, "Failed to create '%s'", POOL_DIRECTORY);
        return 0;
}

int pool_mount(const FileSystem *fs, bool discard, Status *s) {
        int r;

        r = make_mount_point(s);
        if (r < 0)
                return r;
        if (symlink(LUKS_NODE, POOL_SOURCE) < 0 && errno != EEXIST)
                return status_fail(s, REASON_MOUNT, errno, "Failed to create '%s'", POOL_SOURCE);
        return filesystem_mount(fs, POOL_SOURCE, POOL_DIRECTORY, discard, &s->failure);
}

int pool_mount_disk(const Config *c, Status *s) {
        int r;

        r = pool_mount(filesystem_find(c->values[OPTION_FILE_SYSTEM].text), c->discard, s);
        if (r < 0)
                return r;
        return fill(c->values[OPTION_FILE_SYSTEM].text, c, s);
}

/* noswap: what was to be encrypted must not reach a swap device instead. Linux has it since 6.4; status
 * tells where it is missing and would matter. As many inodes as systemd gives /tmp: the kernel's own limit,
 * by the RAM, is half a page each. */
int pool_mount_tmpfs(const Config *c, Status *s) {
        _cleanup_free_ char *options = NULL;
        _cleanup_(failure_done) Failure no_noswap = {};
        struct statvfs v;
        int r;

        r = make_mount_point(s);
        if (r < 0)
                return r;
        if (asprintf(&options, "noswap,nosuid,nodev,mode=0700,nr_inodes=1m,size=%s", c->fallback_size) < 0)
                return status_fail(s, REASON_INTERNAL, ENOMEM, "Failed to mount");
        r = mount_fs(SOURCE_TMPFS, POOL_DIRECTORY, "tmpfs", options, &no_noswap);
        if (r < 0)
                r = mount_fs(SOURCE_TMPFS, POOL_DIRECTORY, "tmpfs", options + strlen("noswap,"),
                             &s->failure);
        if (r < 0)
                return r;
        s->size_bytes = statvfs(POOL_DIRECTORY, &v) < 0 ? 0 : (uint64_t) v.f_blocks * v.f_frsize;
        return fill("tmpfs", c, s);
}

/* One number for all file systems that have it; newer headers call it FS_IOC_SHUTDOWN. */
#define IOC_SHUTDOWN _IOR('X', 125, uint32_t)
#define SHUTDOWN_NO_LOG_FLUSH 2U

void pool_abandon(int directory, const char *path) {
        _cleanup_close_ int fd = openat(directory, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        (void) ioctl(fd, IOC_SHUTDOWN, &(uint32_t) { SHUTDOWN_NO_LOG_FLUSH });
}

void pool_detach(void) {
        (void) umount2(POOL_DIRECTORY, MNT_DETACH | UMOUNT_NOFOLLOW);
}
