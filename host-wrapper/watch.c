/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "watch.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "log.h"
#include "report.h"

/* What a guest may send before it is no longer listened to, in bytes: a good one sends one line. */
#define BYTES_MAX (16U * REPORT_LINE_MAX)

typedef struct Watch {
        const WatchConfig *config;
        int socket_fd;     /* the caller's */
        int pid_fd;        /* the VMM's; only with require_encrypted */
        int status_dir_fd; /* of status_file; only with it */
        char line[REPORT_LINE_MAX];
        size_t used;   /* bytes in line */
        size_t total;  /* bytes received */
        bool skipping; /* the rest of a line that is too long */
        bool complained;
} Watch;

static void watch_done(Watch *w) {
        safe_close(w->pid_fd);
        safe_close(w->status_dir_fd);
}

/* Both with a copy, since POSIX lets them write into their argument. For the caller to free. */
static char *directory_name(const char *path) {
        _cleanup_free_ char *copy = strdup(path);

        return copy ? strdup(dirname(copy)) : NULL;
}

static char *file_name(const char *path) {
        _cleanup_free_ char *copy = strdup(path);

        return copy ? strdup(basename(copy)) : NULL;
}

/* A file that is there before the guest has spoken is of another VM: whoever waits for it must not read
 * that. */
static int open_status_dir(const char *path) {
        _cleanup_free_ char *dir = directory_name(path);
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        if (!dir)
                return log_oom();
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) < 0)
                return log_error_errno(
                        errno, "Cannot write the status file '%s'; give --status-file another name", path);
        if (lstat(path, &st) < 0)
                return TAKE_FD(fd);
        if (!S_ISREG(st.st_mode) || unlink(path) < 0) {
                log_error("'%s' is in the way of the status file; remove it or give --status-file another "
                          "name",
                          path);
                return -EEXIST;
        }
        return TAKE_FD(fd);
}

static int write_status_file(const Watch *w, const char *line, size_t length) {
        _cleanup_free_ char *name = file_name(w->config->status_file);
        _cleanup_close_ int fd = -EBADF;
        char temporary[NAME_MAX + 1];

        if (!name)
                return -ENOMEM;
        (void) snprintf(temporary, sizeof(temporary), ".ccvm-status.%ld", (long) getpid());
        fd = openat(w->status_dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0)
                return -errno;
        if (write(fd, line, length) == (ssize_t) length && write(fd, "\n", 1) == 1 &&
            renameat(w->status_dir_fd, temporary, w->status_dir_fd, name) >= 0)
                return 0;
        (void) unlinkat(w->status_dir_fd, temporary, 0);
        return -EIO;
}

/* SIGKILL: who must not run in the clear is not asked to shut down in its own time, and nothing on a
 * throw-away disk is lost by it. The VMM's exit status says it, too. */
static void kill_vmm(const Watch *w) {
        if (pidfd_send_signal(w->pid_fd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
                (void) log_error_errno(errno, "Cannot end the VM");
}

static void judge(const Watch *w, const Report *report) {
        const char *end = w->config->require_encrypted ? "; ending the VM (--require-encrypted)" : "";
        _cleanup_free_ char *text = NULL;

        if (report->state == REPORT_ENCRYPTED)
                return;
        if (report_describe(report, &text) >= 0)
                log_warning("%s%s", text, end);
        if (w->config->require_encrypted)
                kill_vmm(w);
}

/* Whether the line was the report: then there is nothing more to hear. */
static bool handle_line(Watch *w) {
        Report report;
        int r;

        if (w->skipping || report_parse(w->line, w->used, &report) < 0) {
                if (!w->complained)
                        log_warning("guest sent something that is no status report; ignoring it");
                w->complained = true;
                return false;
        }
        if (w->config->status_file) {
                r = write_status_file(w, w->line, w->used);
                if (r < 0)
                        (void) log_warning_errno(r, "Cannot write the status file '%s'",
                                                 w->config->status_file);
        }
        judge(w, &report);
        return true;
}

static bool handle_bytes(Watch *w, const char *bytes, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (bytes[i] == '\n') {
                        if (handle_line(w))
                                return true;
                        w->used = 0;
                        w->skipping = false;
                } else if (w->used < sizeof(w->line))
                        w->line[w->used++] = bytes[i];
                else
                        w->skipping = true;
        return false;
}

/* Milliseconds for poll(2) until the time is up. */
static int remaining_msec(const Watch *w, time_t start) {
        struct timespec now;
        time_t left;

        if (!w->config->require_encrypted)
                return -1;
        (void) clock_gettime(CLOCK_BOOTTIME, &now);
        left = start + w->config->report_timeout_sec - now.tv_sec;
        if (left <= 0)
                return 0;
        return left > INT_MAX / 1000 ? INT_MAX : (int) left * 1000;
}

static void give_up(const Watch *w, const char *why) {
        if (!w->config->require_encrypted)
                return;
        log_warning("guest %s; ending the VM (--require-encrypted)", why);
        kill_vmm(w);
}

/* Runs until the report has come, the VMM is gone, the time is up, or the guest has talked too much. */
static void watch_run(Watch *w) {
        struct pollfd pfd = { .fd = w->socket_fd, .events = POLLIN };
        struct timespec start;
        char bytes[512];
        ssize_t n;
        int r;

        (void) clock_gettime(CLOCK_BOOTTIME, &start);
        while (w->total < BYTES_MAX) {
                r = poll(&pfd, 1, remaining_msec(w, start.tv_sec));
                if (r == 0 && remaining_msec(w, start.tv_sec) == 0)
                        return give_up(w, "has not said in time that its disk is encrypted");
                if (r <= 0)
                        continue;
                n = read(w->socket_fd, bytes, sizeof(bytes));
                if (n <= 0)
                        return; /* the VMM is gone, and with it everything there was to watch */
                w->total += n;
                if (handle_bytes(w, bytes, n))
                        return;
        }
        give_up(w, "sends no status report but much else");
}

/* Closes every descriptor above stderr but these three, which may be negative. */
static void close_all_but(const int keep[static 3]) {
        unsigned first = STDERR_FILENO + 1;

        for (;;) {
                unsigned next = UINT_MAX;

                for (size_t i = 0; i < 3; i++)
                        if (keep[i] >= (int) first && (unsigned) keep[i] < next)
                                next = (unsigned) keep[i];
                if (next > first)
                        (void) close_range(first, next == UINT_MAX ? UINT_MAX : next - 1, 0);
                if (next == UINT_MAX)
                        return;
                first = next + 1;
        }
}

/* Lets go of everything that the caller might wait for or be held up by: the image, the caller's pipes, its
 * terminal and its directory. Only stderr stays, for the one line that there may be to say. */
static void become_watcher(Watch *w) {
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (null_fd >= 0) {
                (void) dup2(null_fd, STDIN_FILENO);
                (void) dup2(null_fd, STDOUT_FILENO);
        }
        close_all_but((const int[3]) { w->socket_fd, w->pid_fd, w->status_dir_fd });
        (void) signal(SIGPIPE, SIG_IGN);
        (void) prctl(PR_SET_NAME, "ccvm-watch");
        (void) !chdir("/");
}

/* In a child that ends at once, so that the watcher is nobody's to wait for: the VMM knows nothing of it.
 * That child is vfork(2)'s, which has no memory of its own to set up and tear down, a quarter of the time
 * until the VMM starts; so it does what is safe in a signal handler, and nothing else. Descriptors, signals
 * and directory are its own. */
_Noreturn static void spawn_watcher(Watch *w) {
        pid_t pid;

        (void) setsid();
        become_watcher(w);
        pid = _Fork();
        if (pid != 0)
                _exit(pid < 0);
        watch_run(w);
        _exit(0);
}

static int start_child(Watch *w) {
        int status;
        pid_t pid;

        pid = vfork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                spawn_watcher(w);
        while (waitpid(pid, &status, 0) < 0)
                if (errno ==
                    ECHILD) /* the caller ignores SIGCHLD: there is no status, but the child is gone */
                        return 0;
                else if (errno != EINTR)
                        return -errno;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EAGAIN;
}

int watch_start(const WatchConfig *config, int socket_fd) {
        _cleanup_(watch_done) Watch w = {
                .config = config,
                .socket_fd = socket_fd,
                .pid_fd = -EBADF,
                .status_dir_fd = -EBADF,
        };
        int r;

        if (config->status_file) {
                w.status_dir_fd = open_status_dir(config->status_file);
                if (w.status_dir_fd < 0)
                        return w.status_dir_fd;
        }
        if (config->require_encrypted) {
                w.pid_fd = pidfd_open(getpid(), 0);
                if (w.pid_fd < 0)
                        return log_error_errno(errno, "Cannot watch the VMM for --require-encrypted");
        }
        r = start_child(&w);
        return r < 0 ? log_error_errno(r, "Cannot start the process that hears the guest's report") : 0;
}
