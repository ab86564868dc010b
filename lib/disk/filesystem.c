/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "filesystem.h"

#include <fcntl.h>
#include <libmount.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "fileio.h"
#include "parse.h"

/* Always forced: random plaintext looks like some file system once in a few thousand boots.
 *
 * ext4: no journal, no reserved blocks, no copies of the superblock; the inode tables are left as they are
 * (lazy) and stay so (noinit_itable), where zeroing them would write for a minute after the boot and grow
 * the sparse image. Larger flex groups than usual: a fifth less of mkfs's time for 1 TiB, and fewer blocks.
 * Still larger ones make the first allocations slow. An inode for 10 KiB instead of 16: 2 million small
 * files in 20 GiB. What was on the disk has been discarded already (discard.h). Without a journal "discard"
 * is part of each unlink(2), and makes the removal of many files several times slower. Flushes are
 * sent, as by default, though this data does not outlive a crash: whether they cost anything is the host's
 * to say, and ccvm-scratch-run has it ignore them. A journal of 16 MiB makes a day's work dearer by 9 %, and
 * SQLite's transactions by half; one of 4 MiB by 10 %, with twice the writes. So only kernels that need one
 * have it. */
#define EXT4_MKFS "mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", "-i", "10240", "-G", "64"
#define EXT4_FEATURES "^resize_inode,sparse_super2"
#define EXT4_EXTENDED "num_backup_sb=0,lazy_itable_init=1,nodiscard"
#define OPTIONS "nosuid,nodev,noatime"
#define EXT4_OPTIONS OPTIONS ",errors=remount-ro,noinit_itable,noauto_da_alloc"

static const FileSystem file_systems[] = {
        {
                .name = "ext4",
                .is_for = filesystem_needs_journal,
                .note = "ext4 has a journal, without which it can lose data in this kernel",
                .mkfs = { EXT4_MKFS, "-O", "has_journal," EXT4_FEATURES, "-E",
                          EXT4_EXTENDED ",lazy_journal_init=1", "-J", "size=16" },
                .options = EXT4_OPTIONS ",data=writeback",
                .trims = true,
                .size_min = 64 * MIB,
        },
        {
                .name = "ext4",
                .mkfs = { EXT4_MKFS, "-O", "^has_journal," EXT4_FEATURES, "-E", EXT4_EXTENDED },
                .options = EXT4_OPTIONS,
                .trims = true,
                .size_min = 16 * MIB,
        },
        {
                .name = "xfs",
                .mkfs = { "mkfs.xfs", "-q", "-f", "-K" },
                .options = OPTIONS,
                .options_discard = OPTIONS ",discard",
                .size_min = 300 * MIB,
        },
        {
                .name = "btrfs",
                .mkfs = { "mkfs.btrfs", "-q", "-f", "-K", "-m", "single", "-d", "single" },
                .options = OPTIONS,
                .options_discard = OPTIONS ",discard=async",
                .trims = true, /* it waits two minutes, and the kernel has no way to say less */
                .size_min = 48 * MIB,
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

static const char *search_path(void) {
        return getenv("PATH") ?: "/usr/sbin:/usr/bin:/sbin:/bin";
}

bool filesystem_has_program(const FileSystem *fs) {
        _cleanup_free_ char *list = strdup(search_path());
        char *save;

        if (!list)
                return false;
        for (char *d = strtok_r(list, ":", &save); d; d = strtok_r(NULL, ":", &save)) {
                _cleanup_free_ char *path = NULL;
                if (asprintf(&path, "%s/%s", d, fs->mkfs[0]) >= 0 && access(path, X_OK) >= 0)
                        return true;
        }
        return false;
}

/* Becomes a program with /dev/null for input and output, error_fd for errors, and nothing in the environment
 * but the search path. */
static _Noreturn void execute(const char *const *argv, int error_fd) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        const char *path = search_path();

        if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(null, STDOUT_FILENO) >= 0 &&
            dup2(error_fd, STDERR_FILENO) >= 0 && clearenv() == 0 && setenv("PATH", path, 1) == 0)
                (void) execvp(argv[0], (char **) argv);
        (void) dprintf(error_fd, "%s\n", strerror(errno));
        _exit(127);
}

/* Reads fd, which is taken over, to its end and keeps the first line. */
static void read_first_line(int fd, char *line, size_t size) {
        _cleanup_fclose_ FILE *f = fdopen(fd, "r");
        char rest[512];

        line[0] = 0;
        if (!f || !fgets(line, size, f))
                return;
        line[strcspn(line, "\n")] = 0;
        while (fgets(rest, sizeof(rest), f))
                continue;
}

/* Runs a program to its end. line gets the first one that it writes to its standard error. Returns what
 * waitpid(2) gives of it, or -errno. */
static int run(const char *const *argv, char *line, size_t size) {
        int fds[2], wstatus;
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        pid = fork();
        if (pid == 0)
                execute(argv, fds[1]);
        safe_close(fds[1]);
        read_first_line(fds[0], line, size);
        if (pid < 0)
                return -EAGAIN;
        while (waitpid(pid, &wstatus, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return wstatus;
}

int filesystem_make(const FileSystem *fs, const char *node, Failure *f) {
        const char *argv[MKFS_WORDS_MAX];
        char line[160];
        size_t n = 0;
        int r;

        memcpy(argv, fs->mkfs, sizeof(argv));
        while (argv[n])
                n++;
        argv[n] = node;
        r = run(argv, line, sizeof(line));
        if (r < 0)
                return failure_set(f, REASON_MKFS, r, "Failed to run %s", argv[0]);
        if (WIFSIGNALED(r))
                return failure_set(f, REASON_MKFS, 0, "%s was ended by signal %i", argv[0], WTERMSIG(r));
        if (WEXITSTATUS(r) != 0)
                return failure_set(f, REASON_MKFS, 0, "%s failed with status %i: %s", argv[0],
                                   WEXITSTATUS(r), line);
        if (fs->note)
                failure_note(f, "%s", fs->note);
        return 0;
}

DEFINE_TRIVIAL_CLEANUP_FUNC(struct libmnt_context *, mnt_free_context)

int mount_fs(const char *source, const char *target, const char *type, const char *options, Failure *f) {
        _cleanup_(mnt_free_contextp) struct libmnt_context *c = mnt_new_context();
        char message[256];
        int r;

        if (!c || mnt_context_disable_helpers(c, true) != 0 || mnt_context_disable_mtab(c, true) != 0 ||
            mnt_context_disable_canonicalize(c, true) != 0 || mnt_context_set_source(c, source) != 0 ||
            mnt_context_set_target(c, target) != 0 || mnt_context_set_options(c, options) != 0 ||
            mnt_context_set_fstype(c, type) != 0)
                return failure_set(f, REASON_INTERNAL, ENOMEM, "Failed to mount '%s'", target);
        r = mnt_context_mount(c);
        if (mnt_context_get_excode(c, r, message, sizeof(message)) == 0)
                return 0;
        return failure_set(f, REASON_MOUNT, 0, "Failed to mount '%s' on '%s' as %s with options '%s': %s",
                           source, target, type, options, message);
}

bool filesystem_is_listed(const char *text, const char *name) {
        _cleanup_free_ char *end = NULL;

        /* "nodev\ttmpfs\n\text4\n" */
        return asprintf(&end, "\t%s\n", name) >= 0 && strstr(text, end);
}

/* The kernel has looked for the module when it was to mount the file system. */
static bool kernel_lacks(const FileSystem *fs) {
        _cleanup_free_ char *text = NULL;

        return file_read("/proc/filesystems", 64 * KIB, &text) >= 0 && !filesystem_is_listed(text, fs->name);
}

int filesystem_mount(const FileSystem *fs, const char *node, const char *where, bool discard, Failure *f) {
        const char *options = discard && fs->options_discard ? fs->options_discard : fs->options;
        int r;

        r = mount_fs(node, where, fs->name, options, f);
        if (r < 0 && f->reason == REASON_MOUNT && kernel_lacks(fs))
                (void) failure_set(f, REASON_KERNEL, 0, "The kernel has no %s: %s", fs->name,
                                   f->detail ?: "no detail");
        return r;
}
