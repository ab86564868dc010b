/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "users.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <systemd/sd-login.h>

#include "fileio.h"
#include "log.h"
#include "mounted.h"

/* More lines help nobody. */
#define TOLD_MAX 20

#define PROC "/proc/"

typedef struct Numbers {
        uint64_t *values;
        size_t n;
} Numbers;

/* A process is known by its directory, "/proc/123". */
typedef struct Search {
        const Status *status;
        int level;
        dev_t pool;
        struct libmnt_table *own; /* of this process */
        Numbers mounts;           /* of the pool, in all namespaces, by the kernel's numbers */
        Numbers namespaces;       /* that were looked at */
        char *units;              /* of the service manager, that use it: each between blanks */
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

/* Adds unit to the units that are named at the end, once. */
static void note_unit(Search *s, const char *unit) {
        _cleanup_free_ char *word = NULL;
        char *units;

        if (asprintf(&word, " %s ", unit) < 0 || (s->units && strstr(s->units, word)) ||
            asprintf(&units, "%s%s ", s->units ?: " ", unit) < 0)
                return;
        free(s->units);
        s->units = units;
}

/* Logs one use. process: who uses what, or in whose mount namespace that is; NULL if that is nobody's. */
static void tell(Search *s, const char *what, const char *how, const char *process) {
        const char *pid = process ? process + strlen(PROC) : NULL;
        _cleanup_free_ char *name = NULL, *unit = NULL;

        if (pid && sd_pid_get_unit(atoi(pid), &unit) >= 0)
                note_unit(s, unit);
        if (s->count++ >= TOLD_MAX)
                return;
        if (!pid) {
                log_full(s->level, 0, "'%s' is %s.", what, how);
                return;
        }
        name = attribute_read("%s/comm", process);
        log_full(s->level, 0, "'%s' is %s %s (process %s%s%s).", what, how, name ?: "?", pid,
                 unit ? " of " : "", unit ?: "");
}

/* Tells whether path is on the pool, without asking a file system that may not answer. */
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

/* What lies below one of the pool's own targets goes with it: also a mount of the pool on itself, as
 * container engines leave behind that were killed. A process with a file open there is found by the file. */
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

/* Tells whether fs is below another mount of the pool on the same target, as a service has it that may
 * write to a path alone (ReadWritePaths=). That one does not go with the pool's own; a private /tmp is
 * replaced. */
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

/* process: in whose namespace fs is, NULL for this process's own. */
static bool is_use(const Search *s, struct libmnt_table *table, struct libmnt_fs *fs, const char *process) {
        if (process && (mounted_is_private(fs) || is_copy(s, table, fs)))
                return false;
        return !is_own_target(s, mnt_fs_get_target(fs)) || (process && !goes_with_own(s, table, fs));
}

static int look_at_mount(Search *s, struct libmnt_table *table, struct libmnt_fs *fs, const char *process) {
        const char *target = mnt_fs_get_target(fs);

        if (mnt_fs_get_devno(fs) == s->pool) {
                if (is_use(s, table, fs, process))
                        tell(s, target,
                             process ? "a mount of the pool in the namespace of" : "a mount of the pool",
                             process);
                return numbers_add(&s->mounts, mnt_fs_get_id(fs));
        }
        if (mounted_overlay_names(fs, s->status->mounts) && !(process && is_copy(s, table, fs)))
                tell(s, target,
                     process ? "an overlay of the pool in the namespace of" : "an overlay of the pool",
                     process);
        return 0;
}

/* Looks at the mounts of a process, the first of which is this one, unless another one in its namespace
 * was looked at. It may have ended. */
static int look_at_namespace(Search *s, const char *process) {
        _cleanup_iter_ struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
        _cleanup_free_ char *namespace = NULL, *path = NULL;
        _cleanup_table_ struct libmnt_table *table = NULL;
        struct libmnt_fs *fs;
        struct stat st;
        int r;

        if (!iter || asprintf(&namespace, "%s/ns/mnt", process) < 0 ||
            asprintf(&path, "%s/mountinfo", process) < 0)
                return -ENOMEM;
        if (stat(namespace, &st) < 0 || numbers_have(&s->namespaces, st.st_ino))
                return 0;
        r = numbers_add(&s->namespaces, st.st_ino);
        table = mnt_new_table_from_file(path);
        if (!s->own) {
                mnt_ref_table(table);
                s->own = table;
        }
        while (r >= 0 && table && mnt_table_next_fs(table, iter, &fs) == 0)
                r = look_at_mount(s, table, fs, table == s->own ? NULL : process);
        return r;
}

/* Tells of one file of the pool that a process has mapped, and may have closed since. By one list: most
 * processes have hundreds of such links. Returns whether it has. */
static bool look_at_maps(Search *s, const char *process) {
        _cleanup_free_ char *path = NULL, *line = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        unsigned major, minor;
        size_t size = 0;
        int name = 0;

        if (asprintf(&path, "%s/maps", process) < 0)
                return false;
        f = fopen(path, "re");
        while (f && getline(&line, &size, f) >= 0) {
                if (sscanf(line, "%*s %*s %*s %x:%x %*u %n", &major, &minor, &name) < 2 ||
                    makedev(major, minor) != s->pool)
                        continue;
                line[strcspn(line, "\n")] = 0;
                tell(s, line + name, "used by", process);
                return true;
        }
        return false;
}

/* Tells whether the process is the kernel's, as most are: it runs no file. */
static bool is_kernel_thread(const char *process) {
        _cleanup_free_ char *path = NULL;
        char target[1];

        return asprintf(&path, "%s/exe", process) >= 0 && readlink(path, target, sizeof(target)) < 0 &&
               errno == ENOENT;
}

/* Tells of one file or directory of a process that is on the pool. */
static void look_at_files(Search *s, const char *process) {
        _cleanup_(globfree) glob_t links = {};
        _cleanup_free_ char *pattern = NULL;

        if (atoi(process + strlen(PROC)) == getpid() || is_kernel_thread(process) ||
            look_at_maps(s, process) || asprintf(&pattern, "%s/{cwd,root,fd/*}", process) < 0 ||
            glob(pattern, GLOB_BRACE | GLOB_NOSORT, NULL, &links) != 0)
                return;
        for (size_t i = 0; i < links.gl_pathc; i++) {
                char target[256];
                ssize_t n;

                if (!is_on_pool(s, links.gl_pathv[i]))
                        continue;
                n = readlink(links.gl_pathv[i], target, sizeof(target) - 1);
                target[n < 0 ? 0 : n] = 0;
                tell(s, target, "used by", process);
                return;
        }
}

/* Tells of the files on the pool that begin a line of list, and end with one of these characters. */
static void look_at_list(Search *s, const char *list, const char *ends, const char *how) {
        _cleanup_free_ char *text = attribute_read("%s", list);
        char *save, *line = text ? strtok_r(text, "\n", &save) : NULL;

        for (; line; line = strtok_r(NULL, "\n", &save)) {
                line[strcspn(line, ends)] = 0;
                if (line[0] == '/' && is_on_pool(s, line))
                        tell(s, line, how, NULL);
        }
}

/* What the kernel uses is no process's. */
static void look_at_kernel(Search *s) {
        _cleanup_(globfree) glob_t loops = {};

        (void) glob("/sys/block/loop*/loop/backing_file", GLOB_NOSORT, NULL, &loops);
        for (size_t i = 0; i < loops.gl_pathc; i++)
                look_at_list(s, loops.gl_pathv[i], "", "used by a loop device");
        look_at_list(s, "/proc/swaps", " \t", "used for swap");
        look_at_list(s, "/proc/fs/nfsd/exports", " \t", "exported by NFS; see exportfs(8)");
}

int users_tell(const Status *status, int level) {
        _cleanup_(search_done) Search s = { .status = status, .level = level, .pool = mounted_pool(status) };
        _cleanup_(globfree) glob_t processes = {};
        int r;

        if (s.pool == 0)
                return 0;
        r = look_at_namespace(&s, PROC "self");
        if (r < 0)
                return r;
        if (!s.own || glob(PROC "[0-9]*", GLOB_NOSORT, NULL, &processes) != 0)
                return -EIO;
        for (size_t i = 0; i < processes.gl_pathc; i++) {
                r = look_at_namespace(&s, processes.gl_pathv[i]);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < processes.gl_pathc; i++)
                look_at_files(&s, processes.gl_pathv[i]);
        look_at_kernel(&s);
        if (s.count > TOLD_MAX)
                log_full(level, 0, "And %i more.", s.count - TOLD_MAX);
        if (s.units)
                log_full(level, 0, "'systemctl stop%.*s' ends those that are units.",
                         (int) strlen(s.units) - 1, s.units);
        return s.count;
}
