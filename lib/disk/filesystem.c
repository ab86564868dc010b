/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "filesystem.h"

#include <ctype.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "clock.h"
#include "discard.h"
#include "mounting.h"
#include "parse.h"

#define TRIM_LEAST (64 * KIB)
#define TRIM_USEC (5 * USEC_PER_SEC)

struct FileSystem {
        const char *name;
        bool (*is_for)(const char *release); /* of the kernel; NULL: for each */
        const char *note;                    /* what the status says of it; NULL: nothing */
        const char *const *mkfs;             /* argv; the device is appended */
        const char *options;                 /* of mount(8) */
        const char *discard; /* likewise, by which it discards what is freed; NULL: it cannot do so well */
        bool trims;          /* what is freed is discarded too late that way, or not at all */
        uint64_t size_min;   /* bytes */
};

#define ARGV(...) ((const char *const[]) { __VA_ARGS__, NULL })

/* Always forced: random plaintext looks like some file system once in a few thousand boots.
 *
 * ext4: no journal, no reserved blocks, no copies of the superblock; the inode tables are left as they are
 * (lazy) and stay so (noinit_itable), where zeroing them would write for a minute after the boot and grow
 * the sparse image. Larger flex groups than usual: a fifth less of mkfs's time for 1 TiB, and fewer blocks.
 * Still larger ones make the first allocations slow. An inode for 10 KiB instead of 16: 2 million small
 * files in 20 GiB. What was on the disk has been discarded already (luks.c). Without a journal "discard" is
 * part of each unlink(2), and makes the removal of many files several times slower.
 * Flushes are sent, as by default, though this data does not outlive a crash: whether they cost anything is
 * the host's to say, who ignores them where ccvm-scratch-run starts the machine.
 * A journal of 16 MiB makes a day's work dearer by 9 %, and SQLite's transactions by half; one of 4 MiB by
 * 10 %, with twice the writes. So only kernels that need one have it. */
#define EXT4(features, extended, ...)                                                           \
        ARGV("mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", "-i", "10240", "-G", "64", "-O", \
             features ",^resize_inode,sparse_super2", "-E",                                     \
             "num_backup_sb=0,lazy_itable_init=1,nodiscard" extended __VA_OPT__(, ) __VA_ARGS__)
#define EXT4_OPTIONS "errors=remount-ro,noinit_itable,noauto_da_alloc"

static const FileSystem file_systems[] = {
        {
                .name = "ext4",
                .is_for = filesystem_needs_journal,
                .note = "ext4 has a journal, without which it can lose data in this kernel",
                .mkfs = EXT4("has_journal", ",lazy_journal_init=1", "-J", "size=16"),
                .options = EXT4_OPTIONS ",data=writeback",
                .trims = true,
                .size_min = 64 * MIB,
        },
        {
                .name = "ext4",
                .mkfs = EXT4("^has_journal", ""),
                .options = EXT4_OPTIONS,
                .trims = true,
                .size_min = 16 * MIB,
        },
        {
                .name = "xfs",
                .mkfs = ARGV("mkfs.xfs", "-q", "-f", "-K"),
                .options = "",
                .discard = "discard",
                .size_min = 300 * MIB,
        },
        {
                .name = "btrfs",
                .mkfs = ARGV("mkfs.btrfs", "-q", "-f", "-K", "-m", "single", "-d", "single"),
                .options = "",
                .discard = "discard=async",
                .trims = true, /* it waits two minutes, and the kernel has no way to say less */
                .size_min = 16 * MIB,
        },
};

bool filesystem_needs_journal(const char *release) {
        static const struct {
                unsigned major, minor, patch;
        } mended[] = { { 6, 1, 158 }, { 6, 6, 114 }, { 6, 12, 55 }, { 6, 17, 5 } };
        unsigned major = 0, minor = 0, patch = 0;

        (void) sscanf(release, "%u.%u.%u", &major, &minor, &patch);
        if (major > 6 || (major == 6 && minor >= 18))
                return false;
        for (size_t i = 0; i < ELEMENTSOF(mended); i++)
                if (major == mended[i].major && minor == mended[i].minor)
                        return patch < mended[i].patch;
        return true;
}

const FileSystem *filesystem_find(const char *name) {
        struct utsname kernel = {};

        (void) uname(&kernel);
        for (size_t i = 0; i < ELEMENTSOF(file_systems); i++)
                if (streq(file_systems[i].name, name) &&
                    (!file_systems[i].is_for || file_systems[i].is_for(kernel.release)))
                        return &file_systems[i];
        return NULL;
}

const char *filesystem_name(const FileSystem *fs) {
        return fs->name;
}

uint64_t filesystem_size_min(const FileSystem *fs) {
        return fs->size_min;
}

static const char *search_path(void) {
        return getenv("PATH") ?: "/usr/sbin:/usr/bin:/sbin:/bin";
}

bool filesystem_has_program(const FileSystem *fs) {
        _cleanup_free_ char *list = strdup(search_path());

        for (char *save, *d = list ? strtok_r(list, ":", &save) : NULL; d; d = strtok_r(NULL, ":", &save)) {
                _cleanup_free_ char *path = NULL;
                if (asprintf(&path, "%s/%s", d, fs->mkfs[0]) >= 0 && access(path, X_OK) >= 0)
                        return true;
        }
        return false;
}

/* Starts argv with /dev/null for input and output and error_fd for errors, and nothing in the environment
 * but the search path. Returns the process, or -errno: -ENOENT if there is no such program. */
static pid_t spawn(char **argv, int error_fd) {
        _cleanup_free_ char *path = NULL;
        posix_spawn_file_actions_t actions;
        pid_t pid = -1;
        int e;

        if (asprintf(&path, "PATH=%s", search_path()) < 0)
                return -ENOMEM;
        e = posix_spawn_file_actions_init(&actions);
        if (e != 0)
                return -e;
        e = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
        if (e == 0)
                e = posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO);
        if (e == 0)
                e = posix_spawn_file_actions_adddup2(&actions, error_fd, STDERR_FILENO);
        if (e == 0)
                e = posix_spawnp(&pid, argv[0], &actions, NULL, argv, (char *[]) { path, NULL });
        (void) posix_spawn_file_actions_destroy(&actions);
        return e != 0 ? -e : pid;
}

/* Reads fd to its end and keeps the first line, with what is not printable made harmless. */
static void read_first_line(int fd, char *line, size_t size) {
        char buffer[512];
        size_t n = 0;
        ssize_t l;

        while ((l = read(fd, buffer, sizeof(buffer))) > 0 || (l < 0 && errno == EINTR))
                for (ssize_t i = 0; i < l; i++)
                        if (n < size - 1)
                                line[n++] = buffer[i];
        line[n] = 0;
        line[strcspn(line, "\n")] = 0;
        for (char *p = line; *p; p++)
                if (!isprint((unsigned char) *p))
                        *p = '?';
}

/* The strings are not copied. The caller frees the list; NULL if out of memory. */
static char **make_argv(const FileSystem *fs, const char *node) {
        size_t n = 0;
        char **argv;

        while (fs->mkfs[n])
                n++;
        argv = calloc(n + 2, sizeof(char *));
        if (!argv)
                return NULL;
        memcpy(argv, fs->mkfs, n * sizeof(char *));
        argv[n] = (char *) node;
        return argv;
}

int filesystem_make(const FileSystem *fs, const char *node, Status *s) {
        _cleanup_close_ int read_fd = -EBADF, write_fd = -EBADF;
        _cleanup_free_ char **argv = make_argv(fs, node);
        char line[160];
        int fds[2], wstatus;

        if (!argv)
                return status_fail(s, REASON_INTERNAL, ENOMEM, "Failed to make a file system");
        if (pipe2(fds, O_CLOEXEC) < 0)
                return status_fail(s, REASON_INTERNAL, errno, "Failed to create a pipe");
        read_fd = fds[0];
        write_fd = fds[1];

        pid_t pid = spawn(argv, write_fd);
        if (pid < 0)
                return status_fail(s, REASON_MKFS, pid, "Failed to start %s", argv[0]);
        write_fd = safe_close(write_fd);
        read_first_line(read_fd, line, sizeof(line));

        while (waitpid(pid, &wstatus, 0) < 0)
                if (errno != EINTR)
                        return status_fail(s, REASON_MKFS, errno, "Failed to wait for %s", argv[0]);
        if (WIFSIGNALED(wstatus))
                return status_fail(s, REASON_MKFS, 0, "%s was ended by signal %i", argv[0],
                                   WTERMSIG(wstatus));
        if (WEXITSTATUS(wstatus) != 0)
                return status_fail(s, REASON_MKFS, 0, "%s failed with status %i: %s", argv[0],
                                   WEXITSTATUS(wstatus), line);
        if (fs->note)
                status_note(s, "%s", fs->note);
        return 0;
}

int filesystem_mount(const FileSystem *fs, const char *node, const char *where, bool discard, Status *s) {
        _cleanup_free_ char *options = NULL;
        char message[MOUNT_MESSAGE_MAX];

        if (asprintf(&options, "nosuid,nodev,noatime%s%s%s%s", fs->options[0] ? "," : "", fs->options,
                     discard && fs->discard ? "," : "", discard && fs->discard ? fs->discard : "") < 0)
                return status_fail(s, REASON_INTERNAL, ENOMEM, "Failed to mount");
        if (mount_it(node, where, fs->name, options, message) < 0)
                return status_fail(s, REASON_MOUNT, 0, "Failed to mount '%s' on '%s' with options '%s': %s",
                                   node, where, options, message);
        return 0;
}

bool filesystem_trims(const FileSystem *fs) {
        return fs->trims;
}

typedef struct Trim {
        int fd;
        uint64_t size;
        int error;
} Trim;

static int trim_range(void *userdata, uint64_t start, uint64_t length) {
        Trim *t = userdata;
        /* The addresses of btrfs, whose block groups come and go, can lie beyond its size. */
        struct fstrim_range range = { .start = start,
                                      .len = start + length < t->size ? length : UINT64_MAX,
                                      .minlen = TRIM_LEAST };

        t->error = ioctl(t->fd, FITRIM, &range) < 0 ? -errno : 0;
        return t->error;
}

static uint64_t trim_now(void *userdata) {
        return now_usec();
}

int filesystem_trim(const char *where, uint64_t *position) {
        _cleanup_close_ int fd = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        Trim t = { .fd = fd };
        const Discarder by = { trim_range, trim_now, &t };
        struct statvfs v;

        if (fd < 0 || fstatvfs(fd, &v) < 0)
                return -errno;
        t.size = (uint64_t) v.f_blocks * v.f_frsize;
        *position = discard_in_time(&by, *position, t.size, TRIM_USEC);
        if (t.error < 0)
                return t.error == -EOPNOTSUPP ? 1 : t.error;
        return *position >= t.size;
}
