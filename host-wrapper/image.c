/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image.h"

#include <fcntl.h>
#include <libgen.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "backing.h"
#include "fileio.h"
#include "log.h"
#include "parse.h"

/* 1: only an image can show what it would be kept on. */
static int check_backing(int fd, const char *path, bool allow_ram) {
        Backing b;
        int r;

        r = backing_classify_fd(fd, &b);
        if (r < 0)
                return log_error_errno(r, "Cannot tell what '%s' is on", path);
        if (b.kind == BACKING_RAM && !allow_ram) {
                log_error("'%s' is in RAM (%s), where no image may be; choose a directory on a disk "
                          "(--scratch-dir=DIR), or set CCVM_SCRATCH_ALLOW_TMPFS=1",
                          path, b.chain);
                return -EROFS;
        }
        if (b.kind == BACKING_UNKNOWN && b.hidden)
                return !allow_ram;
        if (b.kind == BACKING_UNKNOWN)
                log_warning("Cannot tell whether '%s' is in RAM (%s); taking it for a disk", path, b.chain);
        return 0;
}

static int check_space(int fd, const char *path, uint64_t size) {
        struct statvfs vfs;
        uint64_t available;

        if (fstatvfs(fd, &vfs) < 0)
                return log_error_errno(errno, "Cannot tell the free space in '%s'", path);
        if (__builtin_mul_overflow((uint64_t) vfs.f_bavail, (uint64_t) vfs.f_frsize, &available))
                return 0;
        if (available < IMAGE_FREE_MIN) {
                log_error(
                        "The scratch directory '%s' has %llu MiB free, and a disk needs at least %llu MiB; "
                        "make room there or name another with --scratch-dir=DIR",
                        path, (unsigned long long) (available / MIB),
                        (unsigned long long) (IMAGE_FREE_MIN / MIB));
                return -ENOSPC;
        }
        if (available < size)
                log_warning(
                        "Only %llu MiB are free in the scratch directory '%s' for a disk of %llu MiB; the "
                        "guest gets I/O errors when they are used up",
                        (unsigned long long) (available / MIB), path, (unsigned long long) (size / MIB));
        return 0;
}

/* As check_backing(). path: of the directory or file that fd is, for messages. */
static int check_place(const ImageRequest *request, int fd, const char *path) {
        int r, q;

        r = check_backing(fd, path, request->allow_ram);
        q = r < 0 ? r : check_space(fd, path, request->size);
        return q < 0 ? q : r;
}

/* An overlay hides what its upper is on, and answers for it here: a file in RAM has no extents (FIEMAP), nor
 * has one on the few file systems that cannot tell. What an earlier run has left is not touched for it. */
static int probe_backing(int fd, const char *path) {
        struct {
                struct fiemap map;
                struct fiemap_extent extent;
        } f = { .map = { .fm_length = 4096, .fm_flags = FIEMAP_FLAG_SYNC, .fm_extent_count = 1 } };
        static const char block[4096] = { 1 };
        struct stat st;
        bool empty;
        int r;

        empty = fstat(fd, &st) >= 0 && st.st_size == 0;
        if (empty && pwrite(fd, block, sizeof(block), 0) != sizeof(block))
                return log_error_errno(errno, "Cannot write to the image in '%s'", path);
        r = ioctl(fd, FS_IOC_FIEMAP, &f.map) < 0 || (empty && f.map.fm_mapped_extents == 0) ? -EROFS : 0;
        if (empty && ftruncate(fd, 0) < 0)
                return log_error_errno(errno, "Cannot empty the image in '%s'", path);
        if (r < 0)
                log_error("'%s' is an overlay that keeps its files in RAM, where no image may be, or on a "
                          "file system without FIEMAP; choose a directory on a disk (--scratch-dir=DIR), or "
                          "set CCVM_SCRATCH_ALLOW_TMPFS=1",
                          path);
        return r;
}

static int check_file_limit(uint64_t size) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= size)
                return 0;
        log_error("RLIMIT_FSIZE allows files of %llu MiB, and the image has %llu MiB; raise it (ulimit -f, "
                  "LimitFSIZE=), or give a smaller --vm-disk-size",
                  (unsigned long long) (limit.rlim_cur / MIB), (unsigned long long) (size / MIB));
        return -EFBIG;
}

/* Copy-on-write of random overwrites of ciphertext costs much and can neither compress nor share anything.
 * To be set while the file is empty; a file system that cannot is none the worse for it. */
static void set_nocow(int fd) {
        struct statfs sfs;
        int flags;

        if (fstatfs(fd, &sfs) < 0 || (__typeof__(sfs.f_type)) sfs.f_type != BTRFS_SUPER_MAGIC)
                return;
        if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
                return;
        flags |= FS_NOCOW_FL;
        (void) ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

/* The mode may be that of an earlier run, or what the umask has left of ours. */
static int prepare(const ImageRequest *request, int fd, const char *path) {
        int r;

        r = check_file_limit(request->size);
        if (r >= 0)
                r = check_place(request, fd, path);
        if (r > 0)
                r = probe_backing(fd, path);
        if (r < 0)
                return r;
        set_nocow(fd);
        if (fchmod(fd, 0600) < 0)
                return log_error_errno(errno, "Cannot set the mode of the image in '%s'", path);
        if (ftruncate(fd, (off_t) request->size) < 0)
                return log_error_errno(errno,
                                       "The file system of '%s' does not take an image of %llu MiB; give a "
                                       "smaller --vm-disk-size or another --scratch-dir",
                                       path, (unsigned long long) (request->size / MIB));
        return 0;
}

/* Without O_TMPFILE (NFS, 9p, FUSE, older overlays) the name lives for two system calls, and the file is
 * still empty if the process is killed between them. */
static int create_and_unlink(int dir_fd) {
        char name[64];
        int fd;

        for (unsigned i = 0; i < 100; i++) {
                (void) snprintf(name, sizeof(name), ".ccvm-scratch.%ld.%u", (long) getpid(), i);
                fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
                if (fd < 0 && errno == EEXIST)
                        continue;
                if (fd < 0)
                        return -errno;
                if (unlinkat(dir_fd, name, 0) >= 0)
                        return fd;
                safe_close(fd);
                return -errno;
        }
        return -EEXIST;
}

/* O_EXCL: nobody can give the file a name later, not even through /proc. */
static int create_nameless(int dir_fd) {
        int fd = openat(dir_fd, ".", O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

        if (fd >= 0)
                return fd;
        if (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT || errno == EINVAL)
                return create_and_unlink(dir_fd);
        return -errno;
}

/* nearest: what would be made in a parent is on the parent's file system, which stands in for it. */
static int open_dir(const char *path, bool nearest) {
        _cleanup_free_ char *p = strdup(path);
        int fd;

        if (!p)
                return log_oom();
        while ((fd = open(p, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 && errno == ENOENT && nearest)
                (void) dirname(p);
        if (fd < 0)
                return log_error_errno(errno,
                                       "Cannot open the scratch directory '%s'; name another with "
                                       "--scratch-dir=DIR",
                                       path);
        return fd;
}

static int make_dir(const char *path) {
        mode_t mask = umask(077); /* which may leave not even the owner anything */
        int r = mkdir_parents(path, 0700);

        (void) umask(mask);
        return r < 0 ? log_error_errno(r,
                                       "Cannot make the scratch directory '%s'; name another with "
                                       "--scratch-dir=DIR",
                                       path)
                     : 0;
}

static int open_nameless(const ImageRequest *request) {
        _cleanup_close_ int dir_fd = -EBADF, fd = -EBADF;
        int r;

        r = request->make_dir ? make_dir(request->dir) : 0;
        if (r < 0)
                return r;
        dir_fd = open_dir(request->dir, false);
        if (dir_fd < 0)
                return dir_fd;
        fd = create_nameless(dir_fd);
        if (fd < 0)
                return log_error_errno(fd,
                                       "Cannot create an image in the scratch directory '%s'; name another "
                                       "with --scratch-dir=DIR",
                                       request->dir);
        r = prepare(request, fd, request->dir);
        return r < 0 ? r : TAKE_FD(fd);
}

/* The lock is the open file's, and so the VMM's, too. */
static int lock(int fd, const char *path) {
        if (flock(fd, LOCK_EX | LOCK_NB) >= 0)
                return 0;
        return log_error_errno(errno, "Another VM has the image '%s'; give --keep-image another name", path);
}

static int open_existing(const char *path, uint64_t size) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return log_error_errno(errno, "Cannot open the image '%s'", path);
        if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_uid != geteuid() ||
            (uint64_t) st.st_size != size) {
                log_error("'%s' exists and is not an image of %llu MiB that you own; remove it or give "
                          "--keep-image another name",
                          path, (unsigned long long) (size / MIB));
                return -EEXIST;
        }
        return TAKE_FD(fd);
}

static int open_named(const ImageRequest *request) {
        const char *path = request->file;
        _cleanup_close_ int fd = -EBADF;
        bool is_new;
        int r;

        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        is_new = fd >= 0;
        if (fd < 0 && errno == EEXIST)
                fd = open_existing(path, request->size);
        else if (fd < 0)
                return log_error_errno(errno, "Cannot create the image '%s'; give --keep-image another name",
                                       path);
        r = fd < 0 ? fd : lock(fd, path);
        if (r >= 0)
                r = prepare(request, fd, path);
        if (r < 0 && is_new)
                (void) unlink(path);
        return r < 0 ? r : TAKE_FD(fd);
}

int image_open(const ImageRequest *request) {
        return request->file ? open_named(request) : open_nameless(request);
}

int image_pretend(const ImageRequest *request) {
        _cleanup_free_ char *copy = strdup(request->file ?: request->dir);
        _cleanup_close_ int fd = -EBADF;
        const char *dir = copy;
        int r;

        if (!copy)
                return log_oom();
        if (request->file)
                dir = dirname(copy);
        fd = open_dir(dir, request->make_dir);
        if (fd < 0)
                return fd;
        r = check_place(request, fd, dir);
        if (r < 0)
                return r;
        return request->file ? TAKE_FD(fd) : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

int image_adopt(const ImageRequest *request, int fd) {
        int flags = fcntl(fd, F_GETFL);
        struct stat st;

        if (flags < 0 || fstat(fd, &st) < 0)
                return log_error_errno(
                        errno,
                        "--image-fd=%i is not open here; open the image before, and let it be "
                        "inherited",
                        fd);
        if (!S_ISREG(st.st_mode) || (flags & O_ACCMODE) != O_RDWR) {
                log_error("--image-fd=%i is not a regular file that is open for reading and writing", fd);
                return -EBADFD;
        }
        /* As this program has left it, all of it a hole, it is as good as empty. */
        if (st.st_size != 0 && ((uint64_t) st.st_size != request->size || st.st_blocks != 0)) {
                log_error("--image-fd=%i is a file with other content; give it an empty one", fd);
                return -EEXIST;
        }
        return prepare(request, fd, "--image-fd");
}
