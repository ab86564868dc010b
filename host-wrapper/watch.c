/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "watch.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fileio.h"
#include "log.h"

/* What a guest may say in the life of its VM before it is no longer listened to. */
#define LINES_MAX 10000U

static time_t now_sec(void) {
        struct timespec now;

        (void) clock_gettime(CLOCK_BOOTTIME, &now);
        return now.tv_sec;
}

/* The file's path from the root, as the watcher leaves the caller's directory; nothing is there any more. */
static int clear_status_file(const char *path, char **ret) {
        const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
        _cleanup_free_ char *copy = strdup(path), *dir = NULL;
        struct stat st;

        dir = copy ? realpath(dirname(copy), NULL) : NULL;
        if (!dir || access(dir, W_OK | X_OK) < 0 || asprintf(ret, "%s/%s", dir, name) < 0)
                return log_error_errno(
                        errno, "Cannot write the status file '%s'; give --status-file another name", path);
        if (lstat(*ret, &st) < 0 || (S_ISREG(st.st_mode) && unlink(*ret) >= 0))
                return 0;
        log_error("'%s' is in the way of the status file; remove it or give --status-file another name",
                  path);
        return -EEXIST;
}

int watch_open(const WatchConfig *config, int socket_fd, Watch *ret) {
        *ret = (Watch) { .config = config, .socket_fd = socket_fd };
        watch_expect(ret);
        return config->status_file ? clear_status_file(config->status_file, &ret->status_path) : 0;
}

void watch_done(Watch *w) {
        free(TAKE_PTR(w->status_path));
}

void watch_expect_within(Watch *w, int sec, const char *otherwise) {
        w->waiting = true;
        w->otherwise = otherwise;
        w->deadline = now_sec() + sec;
}

void watch_expect(Watch *w) {
        watch_expect_within(w, w->config->timeout_sec, "guest has said nothing of its disk");
}

int watch_remaining_msec(const Watch *w) {
        time_t left = w->deadline - now_sec();

        if (!w->waiting)
                return -1;
        return left <= 0 ? 0 : left > INT_MAX / 1000 ? INT_MAX : (int) left * 1000;
}

static void refuse(Watch *w, const char *what) {
        if (what)
                log_warning("%s%s", what,
                            w->config->require_encrypted ? "; ending the VM (--require-encrypted)" : "");
        w->not_encrypted = true;
}

void watch_never_heard(Watch *w) {
        w->waiting = false;
        refuse(w, w->otherwise);
}

void watch_expire(Watch *w) {
        if (watch_remaining_msec(w) == 0)
                watch_never_heard(w);
}

static int write_status_file(const Watch *w, const Report *report) {
        _cleanup_free_ char *text = NULL;

        return report_format(report, w->boots, time(NULL), &text) < 0
                       ? -ENOMEM
                       : file_write_atomic(w->status_path, text, 0644);
}

static bool has_reason(const Report *report, const char *word) {
        return report->reason && streq(report->reason, word);
}

static void handle_report(Watch *w, const Report *report) {
        bool cloned = has_reason(report, "cloned");
        _cleanup_free_ char *text = NULL;
        int r;

        w->waiting = false;
        if (!cloned && !has_reason(report, "wiped"))
                w->boots++;
        r = w->status_path ? write_status_file(w, report) : 0;
        if (r < 0)
                (void) log_warning_errno(r, "Cannot write the status file '%s'", w->config->status_file);
        if (cloned)
                log_warning("guest goes on from a snapshot, and a clone of it may have the same key");
        if (report->state == REPORT_ENCRYPTED)
                return;
        (void) report_describe(report, &text);
        refuse(w, text);
}

static void handle_line(Watch *w) {
        Report report;

        if (++w->lines > LINES_MAX) {
                if (w->lines == LINES_MAX + 1)
                        refuse(w, "guest sends reports without end; not listening any more");
                return;
        }
        if (!w->skipping && report_parse(w->line, w->used, &report) >= 0) {
                handle_report(w, &report);
                return;
        }
        if (!w->complained)
                log_warning("guest sent something that is no report; ignoring it");
        w->complained = true;
}

ssize_t watch_read(Watch *w) {
        char bytes[512];
        ssize_t n = recv(w->socket_fd, bytes, sizeof(bytes), MSG_DONTWAIT);

        for (ssize_t i = 0; i < n; i++)
                if (bytes[i] == '\n') {
                        handle_line(w);
                        w->used = 0;
                        w->skipping = false;
                } else if (w->used < sizeof(w->line))
                        w->line[w->used++] = bytes[i];
                else
                        w->skipping = true;
        return n < 0 && errno != EAGAIN && errno != EINTR ? 0 : n;
}

/* closefrom(3) also works where close_range(2) does not, and aborts where nothing does. */
void watch_let_go(int in_fd, int out_fd, bool quiet, const char *name) {
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        (void) dup2(in_fd, STDIN_FILENO);
        (void) dup2(out_fd >= 0 ? out_fd : null_fd, STDOUT_FILENO);
        if (quiet)
                (void) dup2(null_fd, STDERR_FILENO);
        closefrom(STDERR_FILENO + 1);
        (void) setsid();
        (void) signal(SIGPIPE, SIG_IGN);
        (void) prctl(PR_SET_NAME, name);
        (void) !chdir("/");
}

/* In a child that ends at once, so that the watcher is nobody's to wait for: what waits for all of its
 * children, and has the VMM's end of the socket itself (strace), would never end. */
_Noreturn static void run_beside(Watch *w) {
        struct pollfd pfd = { .fd = STDIN_FILENO, .events = POLLIN };
        pid_t pid;

        pid = fork();
        if (pid != 0)
                _exit(pid < 0);
        watch_let_go(w->socket_fd, -EBADF, w->config->quiet, "ccvm-watch");
        w->socket_fd = STDIN_FILENO;
        do {
                (void) poll(&pfd, 1, watch_remaining_msec(w));
                watch_expire(w);
        } while (watch_read(w) != 0);
        _exit(0);
}

int watch_beside(Watch *w) {
        int status = 0;
        pid_t pid;

        pid = fork();
        if (pid == 0)
                run_beside(w);
        /* ECHILD: the caller ignores SIGCHLD. There is no status then, but the child is gone. */
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return pid < 0 || status != 0
                       ? log_error_errno(EAGAIN, "Cannot start the process that hears the guest's report")
                       : 0;
}
