/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "private.h"

#include <fcntl.h>
#include <libmount.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fileio.h"
#include "log.h"
#include "mounted.h"
#include "parse.h"
#include "place.h"

DEFINE_TRIVIAL_CLEANUP_FUNC(struct libmnt_table *, mnt_unref_table)
DEFINE_TRIVIAL_CLEANUP_FUNC(struct libmnt_iter *, mnt_free_iter)

static const DirSpec *find_mount(const PoolLayout *layout, const char *path) {
        for (size_t i = 0; i < layout->n_mounts; i++) {
                const char *rest = startswith(path, layout->mounts[i].path);
                if (rest && *rest == '/')
                        return &layout->mounts[i];
        }
        return NULL;
}

/* PATH/systemd-private-NAME/tmp, as the service manager makes it: who stops the service takes it away. */
static int make_directory(const char *path) {
        _cleanup_free_ char *above = strndup(path, strlen(path) - strlen("/tmp"));
        int r;

        if (!above)
                return -ENOMEM;
        r = pool_make_directory(&(DirSpec) { .path = above, .mode = 0700 });
        return r < 0 ? r : pool_make_directory(&(DirSpec) { .path = (char *) path, .mode = 01777 });
}

/* In a process of its own, which takes the service's namespace for its own. */
static int enter_and_replace(int namespace, int tree, const char *target, const OldPools *old) {
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int place = -EBADF;

        if (setns(namespace, CLONE_NEWNS) < 0)
                return -errno;
        place = place_open("", target, false, &path);
        if (place < 0)
                return place;
        return old_pools_have(old, mounted_by(place, path)) ? pool_attach_instead(tree, place, path) : -ESTALE;
}

static int replace_in(int namespace, int tree, const char *target, const OldPools *old) {
        pid_t child = fork();
        int wstatus;

        if (child < 0)
                return -errno;
        if (child == 0)
                _exit(-enter_and_replace(namespace, tree, target, old));
        while (waitpid(child, &wstatus, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFEXITED(wstatus) ? -WEXITSTATUS(wstatus) : -EIO;
}

/* path: the directory of the pool. */
static int replace(const PoolLayout *layout, int namespace, const char *path, const char *target,
                   const OldPools *old) {
        _cleanup_close_ int tree = -EBADF;
        const DirSpec *d = find_mount(layout, path);
        int r;

        if (!d)
                return 0;
        r = make_directory(path);
        if (r < 0)
                return r;
        tree = pool_clone(path, d);
        return tree < 0 ? tree : replace_in(namespace, tree, target, old);
}

static void look_at_table(const PoolLayout *layout, const OldPools *old, int namespace, const char *pid,
                          const char *mountinfo) {
        _cleanup_(mnt_unref_tablep) struct libmnt_table *table = mnt_new_table_from_file(mountinfo);
        _cleanup_(mnt_free_iterp) struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
        struct libmnt_fs *fs;

        while (table && iter && mnt_table_next_fs(table, iter, &fs) == 0) {
                int r = 0;

                if (old_pools_have(old, mnt_fs_get_devno(fs)) && mounted_is_private(fs))
                        r = replace(layout, namespace, mnt_fs_get_root(fs), mnt_fs_get_target(fs), old);
                if (r < 0)
                        (void) log_warning_errno(r, "Failed to replace the private '%s' of process %s",
                                                 mnt_fs_get_target(fs), pid);
        }
}

static void look_at_process(const PoolLayout *layout, const OldPools *old, const char *pid) {
        _cleanup_free_ char *mountinfo = NULL, *namespace = NULL;
        _cleanup_close_ int fd = -EBADF;
        struct stat st, own;

        if (asprintf(&mountinfo, "/proc/%s/mountinfo", pid) < 0 ||
            asprintf(&namespace, "/proc/%s/ns/mnt", pid) < 0)
                return;
        fd = open(namespace, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && fstat(fd, &st) >= 0 && stat("/proc/self/ns/mnt", &own) >= 0 &&
            st.st_ino != own.st_ino)
                look_at_table(layout, old, fd, pid, mountinfo);
}

void private_replace(const PoolLayout *layout, const OldPools *old) {
        _cleanup_closedir_ DIR *d = opendir("/proc");
        uint64_t pid;

        for (struct dirent *e; d && (e = readdir(d));)
                if (parse_unsigned(e->d_name, INT32_MAX, &pid) >= 0)
                        look_at_process(layout, old, e->d_name);
}
