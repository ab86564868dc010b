/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "place.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "escape.h"
#include "text.h"

#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546 /* the kernel's headers have it since 5.16 */
#endif

#define LINKS_MAX 40U /* as the kernel has it */

typedef struct Walk {
        const char *root;
        bool make;         /* what is missing */
        bool text;         /* only the path is wanted */
        int fd;            /* where it has come to */
        char *path;        /* of fd, below root, without links; "" is root itself */
        char *rest;        /* buffer that todo points into */
        const char *todo;  /* what is left of the path */
        struct statx here; /* of fd */
        struct statx top;  /* of root */
        bool bendable;     /* others than root may write to fd, or to a directory above it */
        unsigned links;
} Walk;

static void walk_done(Walk *w) {
        safe_close(w->fd);
        free(w->path);
        free(w->rest);
}

/* Asks nothing of a server, or of a file system that has failed. What tells nothing of itself may be
 * anybody's directory. */
static struct statx look(int fd) {
        struct statx sx;

        if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT,
                  STATX_TYPE | STATX_MODE | STATX_UID, &sx) < 0)
                return (struct statx) { .stx_mode = S_IFDIR, .stx_uid = UINT32_MAX };
        return sx;
}

/* Goes on at fd, which is taken over. */
static void step_to(Walk *w, int fd) {
        safe_close(w->fd);
        w->fd = fd;
        w->here = look(fd);
        w->bendable |= w->here.stx_uid != 0 || (w->here.stx_mode & (S_IWGRP | S_IWOTH)) != 0;
}

static int step_to_root(Walk *w) {
        int fd = open(isempty(w->root) ? "/" : w->root, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        free(w->path);
        w->path = text_copy("");
        w->bendable = false;
        step_to(w, fd);
        w->top = w->here;
        return 0;
}

/* A link alone has "..", and is followed from where nobody but root can move a directory. */
static int step_up(Walk *w) {
        char *slash = strrchr(w->path, '/');
        int fd;

        if (!slash)
                return 0;
        fd = openat(w->fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        *slash = 0;
        step_to(w, fd);
        return 0;
}

/* What a user's own file system server says of owners is not to be believed; such a mount is nosuid. */
static bool is_user_mount(int fd) {
        struct statfs s;

        return fstatfs(fd, &s) < 0 || (s.f_type == FUSE_SUPER_MAGIC && (s.f_flags & ST_NOSUID));
}

/* Puts what the link says before the rest of the way. */
static int follow(Walk *w, int link, const struct statx *sx) {
        char target[PATH_MAX], *rest;
        ssize_t n;
        int r;

        if (w->bendable || sx->stx_uid != 0 || ++w->links > LINKS_MAX || is_user_mount(w->fd))
                return -ELOOP;
        n = readlinkat(link, "", target, sizeof(target));
        if (n < 0 || n == sizeof(target))
                return n < 0 ? -errno : -ENAMETOOLONG;
        target[n] = 0;
        r = target[0] == '/' ? step_to_root(w) : 0;
        if (r < 0)
                return r;
        rest = text_format("%s/%s", target, w->todo);
        free(w->rest);
        w->todo = w->rest = rest;
        return 0;
}

/* O_DIRECTORY mounts what is to be mounted when it is looked at; a link is opened as one. */
static int open_name(const Walk *w, const char *name) {
        int fd = openat(w->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC | (w->text ? 0 : O_DIRECTORY));

        if (fd < 0 && errno == ENOENT && w->make) {
                if (mkdirat(w->fd, name, 0755) < 0 && errno != EEXIST)
                        return -1;
                fd = openat(w->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC | O_DIRECTORY);
        }
        return fd < 0 && errno == ENOTDIR ? openat(w->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC) : fd;
}

static int step(Walk *w, const char *name) {
        _cleanup_close_ int fd = -EBADF;

        if (streq(name, "."))
                return 0;
        if (streq(name, ".."))
                return w->bendable ? -ELOOP : step_up(w);
        fd = open_name(w, name);
        if (fd < 0)
                return -errno;
        const struct statx sx = look(fd);
        if (S_ISLNK(sx.stx_mode))
                return follow(w, fd, &sx);
        if (!S_ISDIR(sx.stx_mode))
                return -ENOTDIR;
        text_append(&w->path, "/%s", name);
        step_to(w, TAKE_FD(fd));
        return 0;
}

/* The root's own file system is what a generator sees at each of its runs. */
static bool is_at_its_end(const Walk *w) {
        return w->text && !startswith(w->path, "/usr") &&
               (w->here.stx_dev_major != w->top.stx_dev_major ||
                w->here.stx_dev_minor != w->top.stx_dev_minor);
}

static int walk(Walk *w, const char *path) {
        int r = step_to_root(w);

        w->todo = w->rest = text_copy(path);
        while (r >= 0 && *(w->todo += strspn(w->todo, "/")) && !is_at_its_end(w)) {
                const char *before = w->todo;
                _cleanup_free_ char *name = text_format("%.*s", (int) strcspn(before, "/"), before);

                w->todo += strlen(name);
                r = step(w, name);
                if (r < 0 && w->text && r != -ELOOP) {
                        w->todo = before;
                        return 0;
                }
        }
        return r;
}

int place_open(const char *root, const char *path, bool make, char **ret) {
        _cleanup_(walk_done) Walk w = { .root = root, .make = make, .fd = -EBADF };
        int r;

        r = walk(&w, path);
        if (r < 0)
                return r;
        if (ret)
                *ret = TAKE_PTR(w.path);
        return TAKE_FD(w.fd);
}

int place_resolve(const char *root, const char *path, char **ret) {
        _cleanup_(walk_done) Walk w = { .root = root, .text = true, .fd = -EBADF };
        int r;

        r = walk(&w, path);
        if (r < 0)
                return r;
        text_append(&w.path, "/%s", w.todo);
        path_simplify(w.path);
        if (!path_is_clean(w.path) || streq(w.path, "/"))
                return -ELOOP;
        *ret = TAKE_PTR(w.path);
        return 0;
}
