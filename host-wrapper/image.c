/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image.h"

#include <fcntl.h>
#include <libgen.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "backing.h"
#include "log.h"
#include "parse.h"

#define FREE_MIN (64 * MIB) /* with less the guest could not even make its file system */

static unsigned long long mebibytes(uint64_t bytes) {
        return (unsigned long long) (bytes / MIB);
}

static int check_space(int fd, const char *path, uint64_t size) {
        struct statvfs vfs;
        uint64_t available;

        if (fstatvfs(fd, &vfs) < 0)
                return log_error_errno(errno, "Cannot tell the free space in '%s'", path);
        if (__builtin_mul_overflow((uint64_t) vfs.f_bavail, (uint64_t) vfs.f_frsize, &available) ||
            available >= size)
                return 0;
        log_full(available < FREE_MIN ? LOG_ERR : LOG_WARNING, 0,
                 "Only %llu MiB are free in '%s' for a disk of %llu MiB; make room there, at least %llu "
                 "MiB, or the guest gets I/O errors when they are used up",
                 mebibytes(available), path, mebibytes(size), mebibytes(FREE_MIN));
        return available < FREE_MIN ? -ENOSPC : 0;
}

/* Turns copy-on-write off, as btrfs lets one: of random overwrites of ciphertext it costs much, and there is
 * nothing to compress or share. To be done while the file is empty. */
static void set_nocow(int fd) {
        int flags;

        if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
                return;
        flags |= FS_NOCOW_FL;
        (void) ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

/* Makes an image of a new, empty file. path: for messages. Its mode may be what the umask has left. */
static int prepare(const ImageRequest *request, int fd, const char *path) {
        static const char block[4096] = { 1 };
        char name[BACKING_NAME_MAX];
        struct rlimit limit;
        int r;

        /* A signal would say so otherwise. */
        if (getrlimit(RLIMIT_FSIZE, &limit) >= 0 && limit.rlim_cur < request->size) {
                log_error("RLIMIT_FSIZE allows %llu MiB, and the image has %llu MiB; raise it (ulimit -f, "
                          "LimitFSIZE=), or give a smaller --vm-disk-size",
                          mebibytes(limit.rlim_cur), mebibytes(request->size));
                return -EFBIG;
        }
        r = request->allow_ram ? 0 : backing_is_ram(fd, name);
        if (r < 0)
                return log_error_errno(r, "Cannot tell what '%s' is on", path);
        if (r > 0) {
                log_error("'%s' is in RAM (%s), where no image may be; choose a directory on a disk "
                          "(--scratch-dir=DIR), or set CCVM_SCRATCH_ALLOW_TMPFS=1",
                          path, name);
                return -EROFS;
        }
        /* A disk or a quota that is used up shows itself now. */
        if (pwrite(fd, block, sizeof(block), 0) != sizeof(block) || ftruncate(fd, 0) < 0)
                return log_error_errno(errno ?: EIO,
                                       "Cannot write to an image in '%s'; make room there or name another "
                                       "directory with --scratch-dir=DIR",
                                       path);
        set_nocow(fd);
        if (fchmod(fd, 0600) < 0 || ftruncate(fd, (off_t) request->size) < 0)
                return log_error_errno(errno,
                                       "'%s' does not take a file of %llu MiB and mode 600; give a "
                                       "smaller --vm-disk-size or another --scratch-dir",
                                       path, mebibytes(request->size));
        return check_space(fd, path, request->size);
}

/* Creates a file that has no name and (O_EXCL) can be given none, not even through /proc. Where there is no
 * O_TMPFILE (NFS, 9p, FUSE, older overlays) a name lives for two system calls, and the file is still empty
 * if the process is killed between them. */
static int create_nameless(int dir_fd, const char *dir) {
        _cleanup_free_ char *path = NULL;
        int fd = openat(dir_fd, ".", O_TMPFILE | O_EXCL | O_RDWR, 0600);

        if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL))
                return fd < 0 ? -errno : fd;
        if (asprintf(&path, "%s/.ccvm-scratch.XXXXXX", dir) < 0)
                return -ENOMEM;
        fd = mkstemp(path);
        return fd < 0 || unlink(path) < 0 ? -errno : fd;
}

/* Opens a directory; if it is missing it is made, with as many of those above it as there are more levels.
 * One that is there is not asked to be made: on a server mkdir(2) does not always say that it exists. A dry
 * run takes the one above instead, which is on the same file system. */
static int open_dir(const char *path, unsigned levels, bool dry_run) {
        _cleanup_free_ char *above = strdup(path);
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd >= 0 || errno != ENOENT || levels == 0 || !above)
                return fd < 0 ? -errno : fd;
        fd = open_dir(dirname(above), levels - 1, dry_run);
        if (fd < 0 || dry_run)
                return fd;
        safe_close(fd);
        return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : open_dir(path, 0, false);
}

/* Locks a directory, for the life of QEMU, so that systemd-tmpfiles(8) does not remove what looks empty. Not
 * one that others have for their own files (/var/tmp), which go on being aged. */
static bool lock_dir(int dir_fd) {
        struct stat st;

        return fstat(dir_fd, &st) >= 0 && !(st.st_mode & S_ISVTX) && flock(dir_fd, LOCK_SH | LOCK_NB) >= 0 &&
               fcntl(dir_fd, F_SETFD, 0) >= 0;
}

static int make_nameless(const ImageRequest *request) {
        _cleanup_close_ int dir_fd = -EBADF, fd = -EBADF;
        mode_t mask = umask(077); /* which may leave not even the owner anything */
        int r;

        dir_fd = open_dir(request->dir, request->make_dirs, request->dry_run);
        (void) umask(mask);
        fd = dir_fd < 0 ? dir_fd : create_nameless(dir_fd, request->dir);
        if (fd < 0)
                return log_error_errno(fd,
                                       "Cannot create an image in the scratch directory '%s'; name another "
                                       "with --scratch-dir=DIR",
                                       request->dir);
        r = prepare(request, fd, request->dir);
        if (r < 0)
                return r;
        if (lock_dir(dir_fd))
                (void) TAKE_FD(dir_fd);
        return TAKE_FD(fd);
}

int image_make(const ImageRequest *request) {
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (!request->file)
                return make_nameless(request);
        fd = open(request->file, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
        if (fd < 0)
                return log_error_errno(errno,
                                       "Cannot make the image '%s' as a new file; remove it, or give "
                                       "--keep-image another name",
                                       request->file);
        (void) flock(fd, LOCK_EX | LOCK_NB); /* for programs that ask whether somebody has the file */
        r = prepare(request, fd, request->file);
        if (r < 0 || request->dry_run)
                (void) unlink(request->file);
        return r < 0 ? r : TAKE_FD(fd);
}
