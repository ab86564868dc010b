/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "users.h"

#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <libmount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fileio.h"
#include "log.h"
#include "mounted.h"
#include "parse.h"

/* More lines help nobody. */
#define TOLD_MAX 20

typedef struct Numbers {
        uint64_t *values;
        size_t n;
} Numbers;

typedef struct Search {
        const Status *status;
        int level;
        dev_t pool; /* as the mount table has it, which for btrfs no stat(2) gives */
        struct libmnt_table *own;
        Numbers mounts;     /* of the pool, in all namespaces, by the kernel's numbers */
        Numbers namespaces; /* that were looked at */
        char *units;        /* of the service manager, that use it: each with a blank before it */
        int count;
} Search;

static void search_done(Search *s) {
        mnt_unref_table(s->own);
        free(s->mounts.values);
        free(s->namespaces.values);
        free(s->units);
}

static bool numbers_have(const Numbers *l, uint64_t value) {
        for (size_t i = 0; i < l->n; i++)
                if (l->values[i] == value)
                        return true;
        return false;
}

static int numbers_add(Numbers *l, uint64_t value) {
        uint64_t *values = reallocarray(l->values, l->n + 1, sizeof(uint64_t));

        if (!values)
                return -ENOMEM;
        l->values = values;
        l->values[l->n++] = value;
        return 0;
}

/* Of a line of /proc/PID/cgroup: what the slices hold is a unit of the service manager, and what that
 * holds is its own affair. The caller frees it; NULL if there is none. */
static char *find_unit(char *cgroup) {
        cgroup[strcspn(cgroup, "\n")] = 0;
        for (char *save, *part = strtok_r(cgroup, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
                size_t l = strlen(part);
                if (l > 6 && streq(part + l - 6, ".scope"))
                        return strdup(part);
                if (l > 8 && streq(part + l - 8, ".service"))
                        return strdup(part);
        }
        return NULL;
}

static char *read_unit(const char *pid) {
        _cleanup_free_ char *path = NULL, *text = NULL;

        return asprintf(&path, "/proc/%s/cgroup", pid) >= 0 && file_read(path, 4 * KIB, &text) >= 0
                       ? find_unit(text)
                       : NULL;
}

/* Each once. */
static void note_unit(Search *s, const char *unit) {
        size_t l = strlen(unit);
        char *units;

        for (const char *p = s->units; p && (p = strstr(p, unit)); p += l)
                if (p[-1] == ' ' && (p[l] == ' ' || p[l] == 0))
                        return;
        if (asprintf(&units, "%s %s", s->units ?: "", unit) < 0)
                return;
        free(s->units);
        s->units = units;
}

/* pid: who uses it, or in whose mount namespace it is; NULL if that is nobody's. */
static void tell(Search *s, const char *what, const char *how, const char *pid) {
        _cleanup_free_ char *path = NULL, *name = NULL, *unit = pid ? read_unit(pid) : NULL;

        if (unit)
                note_unit(s, unit);
        if (s->count++ >= TOLD_MAX)
                return;
        if (pid && asprintf(&path, "/proc/%s/comm", pid) >= 0 && file_read(path, KIB, &name) >= 0)
                name[strcspn(name, "\n")] = 0;
        if (pid)
                (void) log_full(s->level, 0, "'%s' is %s %s (process %s%s%s).", what, how, name ?: "?", pid,
                                unit ? " of " : "", unit ?: "");
        else
                (void) log_full(s->level, 0, "'%s' is %s.", what, how);
}

/* Nothing is asked of a file system that may not answer. */
static bool is_on_pool(const Search *s, const char *path) {
        struct statx sx;

        if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_MNT_ID, &sx) < 0)
                return false;
        return makedev(sx.stx_dev_major, sx.stx_dev_minor) == s->pool ||
               numbers_have(&s->mounts, sx.stx_mnt_id);
}

static bool is_at_or_below(const char *path, const char *own) {
        const char *rest = startswith(path, own);

        return rest && (*rest == 0 || *rest == '/');
}

/* What lies below one goes with it: also a mount of the pool on itself, as container engines leave behind
 * that were killed. Who has a file open there is found by the file. */
static bool is_own_target(const Search *s, const char *target) {
        if (is_at_or_below(target, POOL_DIRECTORY))
                return true;
        for (char **m = s->status->mounts; m && *m; m++) {
                _cleanup_free_ char *path = realpath(*m, NULL); /* there may be a link of root's in it */
                if (is_at_or_below(target, path ?: *m))
                        return true;
        }
        return false;
}

/* Below another mount of the pool on the same target, as a service has it that may write to a path alone
 * (ReadWritePaths=). That one does not go with the pool's own; a private /tmp is replaced. */
static bool is_covered(const Search *s, struct libmnt_table *table, struct libmnt_fs *fs) {
        struct libmnt_fs *top = mnt_table_find_target(table, mnt_fs_get_target(fs), MNT_ITER_BACKWARD);

        return top != fs && mnt_fs_get_devno(top) == s->pool && !mounted_is_private(top);
}

/* In another namespace the copy of a mount that is shared goes with it, and one that is private stays. */
static bool goes_with_own(const Search *s, struct libmnt_table *table, struct libmnt_fs *fs) {
        unsigned long propagation = 0;

        return mnt_fs_get_propagation(fs, &propagation) == 0 && (propagation & (MS_SHARED | MS_SLAVE)) &&
               !is_covered(s, table, fs);
}

/* What is mounted at the same place in this process's namespace was told there, and a copy goes with it. */
static bool is_copy(const Search *s, struct libmnt_table *table, struct libmnt_fs *fs) {
        struct libmnt_fs *own = mnt_table_find_target(s->own, mnt_fs_get_target(fs), MNT_ITER_BACKWARD);

        return own && mnt_fs_get_devno(own) == mnt_fs_get_devno(fs) && goes_with_own(s, table, fs);
}

DEFINE_TRIVIAL_CLEANUP_FUNC(struct libmnt_iter *, mnt_free_iter)

/* pid: of a process in the namespace, or NULL for this process's own. */
static bool is_use(const Search *s, struct libmnt_table *table, struct libmnt_fs *fs, const char *pid) {
        if (pid && (mounted_is_private(fs) || is_copy(s, table, fs)))
                return false;
        return !is_own_target(s, mnt_fs_get_target(fs)) || (pid && !goes_with_own(s, table, fs));
}

static int look_at_mount(Search *s, struct libmnt_table *table, struct libmnt_fs *fs, const char *pid) {
        const char *target = mnt_fs_get_target(fs);

        if (mnt_fs_get_devno(fs) == s->pool) {
                if (is_use(s, table, fs, pid))
                        tell(s, target,
                             pid ? "a mount of the pool in the namespace of" : "a mount of the pool", pid);
                return numbers_add(&s->mounts, mnt_fs_get_id(fs));
        }
        if (mounted_overlay_names(fs, s->status->mounts) && !(pid && is_copy(s, table, fs)))
                tell(s, target,
                     pid ? "an overlay of the pool in the namespace of" : "an overlay of the pool", pid);
        return 0;
}

static int look_at_table(Search *s, struct libmnt_table *table, const char *pid) {
        _cleanup_(mnt_free_iterp) struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
        struct libmnt_fs *fs;
        int r = 0;

        /* A process may have ended. */
        while (table && iter && r >= 0 && mnt_table_next_fs(table, iter, &fs) == 0)
                r = look_at_mount(s, table, fs, pid);
        return r;
}

/* Calls look for each process but this one. */
static int for_each_process(Search *s, int (*look)(Search *s, const char *pid)) {
        DIR *d = opendir("/proc");
        uint64_t pid;
        int r = 0;

        if (!d)
                return -errno;
        for (struct dirent *e; r >= 0 && (e = readdir(d));)
                if (parse_unsigned(e->d_name, INT32_MAX, &pid) >= 0 && (pid_t) pid != getpid())
                        r = look(s, e->d_name);
        closedir(d);
        return r;
}

DEFINE_TRIVIAL_CLEANUP_FUNC(struct libmnt_table *, mnt_unref_table)

static int look_at_namespace(Search *s, const char *pid) {
        _cleanup_free_ char *namespace = NULL, *path = NULL;
        _cleanup_(mnt_unref_tablep) struct libmnt_table *table = NULL;
        struct stat st;
        int r;

        if (asprintf(&namespace, "/proc/%s/ns/mnt", pid) < 0 ||
            asprintf(&path, "/proc/%s/mountinfo", pid) < 0)
                return -ENOMEM;
        if (stat(namespace, &st) < 0 || numbers_have(&s->namespaces, st.st_ino))
                return 0;
        r = numbers_add(&s->namespaces, st.st_ino);
        if (r < 0)
                return r;
        table = mnt_new_table_from_file(path);
        return look_at_table(s, table, pid);
}

/* /proc/PID/NAME, a link to something open. */
static bool tell_link(Search *s, const char *pid, const char *name) {
        _cleanup_free_ char *path = NULL;
        char target[256];
        ssize_t n;

        if (asprintf(&path, "/proc/%s/%s", pid, name) < 0 || !is_on_pool(s, path))
                return false;
        n = readlink(path, target, sizeof(target) - 1);
        target[n < 0 ? 0 : n] = 0;
        tell(s, target, "used by", pid);
        return true;
}

static bool tell_open_file(Search *s, const char *pid) {
        _cleanup_free_ char *path = NULL, *name = NULL;
        bool found = false;
        DIR *d;

        if (asprintf(&path, "/proc/%s/fd", pid) < 0 || !(d = opendir(path)))
                return false;
        for (struct dirent *e; !found && (e = readdir(d));) {
                free(TAKE_PTR(name));
                found = e->d_name[0] != '.' && asprintf(&name, "fd/%s", e->d_name) >= 0 &&
                        tell_link(s, pid, name);
        }
        closedir(d);
        return found;
}

/* What is mapped, and not open any more. */
static bool tell_mapped_file(Search *s, const char *pid) {
        _cleanup_free_ char *path = NULL, *line = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        unsigned major, minor;
        size_t size = 0;
        int at = 0;

        if (asprintf(&path, "/proc/%s/maps", pid) < 0 || !(f = fopen(path, "re")))
                return false;
        while (getline(&line, &size, f) > 0) {
                if (sscanf(line, "%*s %*s %*s %x:%x %*s %n", &major, &minor, &at) != 2 ||
                    makedev(major, minor) != s->pool)
                        continue;
                line[strcspn(line, "\n")] = 0;
                tell(s, line + at, "used by", pid);
                return true;
        }
        return false;
}

/* One line for each. */
static int look_at_process(Search *s, const char *pid) {
        (void) (tell_link(s, pid, "cwd") || tell_link(s, pid, "root") || tell_link(s, pid, "exe") ||
                tell_open_file(s, pid) || tell_mapped_file(s, pid));
        return 0;
}

static void look_at_loop_devices(Search *s) {
        glob_t found;

        if (glob("/sys/block/loop*/loop/backing_file", GLOB_NOSORT, NULL, &found) != 0)
                return;
        for (size_t i = 0; i < found.gl_pathc; i++) {
                _cleanup_free_ char *file = NULL;
                if (file_read(found.gl_pathv[i], 4 * KIB, &file) < 0)
                        continue;
                file[strcspn(file, "\n")] = 0;
                if (is_on_pool(s, file))
                        tell(s, file, "used by a loop device", NULL);
        }
        globfree(&found);
}

/* The server in the kernel, which is no process. */
static void look_at_exports(Search *s) {
        _cleanup_free_ char *text = NULL;

        if (file_read("/proc/fs/nfsd/exports", MIB, &text) < 0)
                return;
        for (char *save, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                line[strcspn(line, " \t")] = 0;
                if (line[0] == '/' && is_on_pool(s, line))
                        tell(s, line, "exported by NFS; see exportfs(8)", NULL);
        }
}

static void look_at_swaps(Search *s) {
        _cleanup_free_ char *text = NULL;

        if (file_read("/proc/swaps", 64 * KIB, &text) < 0)
                return;
        for (char *save, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                line[strcspn(line, " \t")] = 0;
                if (is_on_pool(s, line))
                        tell(s, line, "used for swap", NULL);
        }
}

int users_tell(const Status *status, int level) {
        _cleanup_(search_done) Search s = { .status = status, .level = level };
        struct stat st;
        int r;

        s.pool = mounted_number(status);
        if (s.pool == 0)
                return 0;
        if (stat("/proc/self/ns/mnt", &st) < 0)
                return -errno;
        r = numbers_add(&s.namespaces, st.st_ino);
        s.own = mnt_new_table_from_file("/proc/self/mountinfo");
        if (r >= 0)
                r = look_at_table(&s, s.own, NULL);
        if (r >= 0)
                r = for_each_process(&s, look_at_namespace);
        if (r >= 0)
                r = for_each_process(&s, look_at_process);
        if (r < 0)
                return r;
        look_at_loop_devices(&s);
        look_at_swaps(&s);
        look_at_exports(&s);
        if (s.count > TOLD_MAX)
                (void) log_full(level, 0, "And %i more.", s.count - TOLD_MAX);
        if (s.units)
                (void) log_full(level, 0, "'systemctl stop%s' ends those that are units.", s.units);
        return s.count;
}
