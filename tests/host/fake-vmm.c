/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A stand-in for the VMM: says what it was started with, then does what it is told.
 *
 * Writes to $FAKE_VMM_LOG, one fact a line: "clock NSEC" (CLOCK_MONOTONIC, first of all), "pid N", "maxrss
 * KIB" (of this process so far, and so also of what it was before), "arg ARGUMENT", "fd N TARGET SIZE BLOCKS
 * MODE LINKS", "core SOFT HARD", "filter N", "blocked SIGNALS", "ready", "signal N" for the one that comes.
 *
 * $FAKE_VMM_REPORT: a file whose content it sends through the socket that its arguments name, as the guest's
 * report. $FAKE_VMM_REPORT_AGAIN: another one, after a reset of which its monitor tells.
 *
 * $FAKE_VMM_DO: "exit N", "kill N" (itself), "wait" (for SIGTERM, SIGINT or SIGHUP, after which it exits
 * with 40 plus the number, or for "quit" on its monitor, after which it exits with 0), "deaf" (the same, and
 * the monitor says nothing), "close" (the sockets, and then "deaf"), "fill" (the inherited image, until
 * there is no space; then it exits with the errno). */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "macro.h"

static FILE *report;
static int image_fd = -EBADF, socket_fd = -EBADF, monitor_fd = -EBADF;

static void report_fds(void) {
        _cleanup_close_ int dir_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fdopendir(dup(dir_fd));

        for (struct dirent *e; dir && (e = readdir(dir));) {
                char target[PATH_MAX] = "";
                struct stat st;
                int fd = atoi(e->d_name);

                if (e->d_name[0] == '.' || fd == dir_fd || fd == dirfd(dir) || fd == fileno(report))
                        continue;
                if (readlinkat(dir_fd, e->d_name, target, sizeof(target) - 1) < 0 || fstat(fd, &st) < 0)
                        continue;
                if (fd > STDERR_FILENO && S_ISREG(st.st_mode))
                        image_fd = fd;
                fprintf(report, "fd %i %s %lld %lld %o %lu\n", fd, target, (long long) st.st_size,
                        (long long) st.st_blocks, st.st_mode & 07777, (unsigned long) st.st_nlink);
        }
        closedir(dir);
}

static void report_limits(void) {
        char filter[32] = "";
        struct rlimit limit;
        int fd = open("/proc/self/coredump_filter", O_RDONLY | O_CLOEXEC);

        (void) getrlimit(RLIMIT_CORE, &limit);
        fprintf(report, "core %lld %lld\n", (long long) limit.rlim_cur, (long long) limit.rlim_max);
        (void) !read(fd, filter, sizeof(filter) - 1);
        close(fd);
        fprintf(report, "filter %s", filter);
}

static void report_signals(const sigset_t *blocked) {
        fprintf(report, "blocked");
        for (int i = 1; i < NSIG; i++)
                if (sigismember(blocked, i) > 0)
                        fprintf(report, " %i", i);
        fprintf(report, "\n");
}

/* As a guest's port would bring it: in pieces, and until the other end has had enough. */
static void send_report(const char *path) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        char bytes[7];
        ssize_t n;

        while ((n = read(fd, bytes, sizeof(bytes))) > 0 && send(socket_fd, bytes, n, MSG_NOSIGNAL) == n)
                ;
        close(fd);
}

static void find_socket(const char *arg) {
        const char *value;

        if ((value = startswith(arg, "socket,id=ccvm-scratch-report,fd=")))
                socket_fd = atoi(value);
        if ((value = startswith(arg, "socket,id=ccvm-scratch-monitor,fd=")))
                monitor_fd = atoi(value);
}

static bool is_told_to_quit(void) {
        char bytes[1024];
        ssize_t n = recv(monitor_fd, bytes, sizeof(bytes), MSG_DONTWAIT);

        return n > 0 && memmem(bytes, n, "\"quit\"", strlen("\"quit\""));
}

static int wait_for_signal(const sigset_t *signals, bool deaf) {
        static const struct timespec step = { .tv_nsec = 20 * 1000 * 1000 };
        int n;

        while ((n = sigtimedwait(signals, NULL, &step)) < 0)
                if (!deaf && is_told_to_quit()) {
                        fprintf(report, "quit 1\n");
                        fflush(report);
                        return 0;
                }
        fprintf(report, "signal %i\n", n);
        fflush(report);
        return 40 + n;
}

static int fill_image(void) {
        static char block[1 << 20];

        memset(block, 'x', sizeof(block));
        for (off_t at = 0;; at += (off_t) sizeof(block))
                if (pwrite(image_fd, block, sizeof(block), at) < 0 || fsync(image_fd) < 0)
                        return errno;
}

int main(int argc, char **argv) {
        const char *todo = getenv("FAKE_VMM_DO") ?: "exit 0", *value;
        sigset_t signals, blocked;
        struct timespec now;
        struct rusage usage;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGHUP);
        (void) sigprocmask(SIG_BLOCK, &signals, &blocked);

        report = fopen(getenv("FAKE_VMM_LOG") ?: "/dev/null", "ae");
        if (!report)
                return 99;
        (void) getrusage(RUSAGE_SELF, &usage);
        fprintf(report, "clock %lld%09ld\n", (long long) now.tv_sec, now.tv_nsec);
        fprintf(report, "pid %i\n", (int) getpid());
        fprintf(report, "maxrss %ld\n", usage.ru_maxrss);
        for (int i = 0; i < argc; i++)
                fprintf(report, "arg %s\n", argv[i]);
        for (int i = 0; i < argc; i++)
                find_socket(argv[i]);
        report_fds();
        report_limits();
        report_signals(&blocked);
        if ((value = getenv("FAKE_VMM_REPORT")))
                send_report(value);
        if ((value = getenv("FAKE_VMM_REPORT_AGAIN"))) {
                static const char reset[] = "{\"timestamp\": {}, \"event\": \"RESET\", \"data\": {}}\r\n";
                (void) usleep(200 * 1000); /* as a guest that has been up, and one that boots */
                (void) send(monitor_fd, reset, strlen(reset), MSG_NOSIGNAL);
                (void) usleep(200 * 1000);
                send_report(value);
        }
        fprintf(report, "ready\n");
        fflush(report);

        if (streq(todo, "close")) {
                close(socket_fd);
                close(monitor_fd);
        }
        if (streq(todo, "wait") || streq(todo, "deaf") || streq(todo, "close"))
                return wait_for_signal(&signals, !streq(todo, "wait"));
        (void) sigprocmask(SIG_SETMASK, &blocked, NULL);
        if ((value = startswith(todo, "exit "))) {
                static const char shutdown[] =
                        "{\"timestamp\": {}, \"event\": \"SHUTDOWN\", \"data\": {}}\r\n";
                (void) send(monitor_fd, shutdown, strlen(shutdown), MSG_NOSIGNAL);
                return atoi(value);
        }
        if ((value = startswith(todo, "kill ")))
                return kill(getpid(), atoi(value)) + 98;
        if (streq(todo, "fill"))
                return fill_image();
        return 97;
}
