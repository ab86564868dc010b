/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A stand-in for the VMM: says what it was started with, then does what it is told.
 *
 * Writes to $FAKE_VMM_LOG, one fact a line: "clock NSEC" (CLOCK_MONOTONIC, first of all), "pid N", "maxrss
 * KIB" (of this process so far, and so also of what it was before), "arg ARGUMENT", "fd N TARGET SIZE BLOCKS
 * MODE LINKS", "core SOFT HARD", "memlock SOFT HARD", "filter N", "blocked SIGNALS", "ready", "signal N" for
 * the one that comes.
 *
 * $FAKE_VMM_REPORT: what it writes to the descriptor that its arguments name for it, as the guest's report.
 *
 * $FAKE_VMM_DO: "exit N", "kill N" (itself), "wait" (for SIGTERM, SIGINT or SIGHUP, after which it exits
 * with 40 plus the number), "default" (for the signal that ends it), "fill" (the inherited image, until
 * there is no space; then it exits with the errno). */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "macro.h"

static FILE *report;
static int image_fd = -EBADF;

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
                fprintf(report, "fd %i %s %lld %lld %o %lu\n", fd, target, (long long) st.st_size,
                        (long long) st.st_blocks, st.st_mode & 07777, (unsigned long) st.st_nlink);
        }
        closedir(dir);
}

static void report_limit(const char *name, __rlimit_resource_t resource) {
        struct rlimit limit;

        (void) getrlimit(resource, &limit);
        fprintf(report, "%s %lld %lld\n", name, (long long) limit.rlim_cur, (long long) limit.rlim_max);
}

static void report_filter(void) {
        char filter[32] = "";
        int fd = open("/proc/self/coredump_filter", O_RDONLY | O_CLOEXEC);

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

/* The descriptors that a set of QEMU's has. */
static void take_fd(const char *arg, const char *said) {
        int fd, set;

        if (sscanf(arg, "fd=%i,set=%i", &fd, &set) != 2)
                return;
        if (set == 6377)
                image_fd = fd;
        else if (set == 63771 && said && write(fd, said, strlen(said)) < 0)
                fprintf(report, "unheard %i\n", errno);
}

static int wait_for_signal(const sigset_t *signals) {
        int n;

        while ((n = sigwaitinfo(signals, NULL)) < 0 && errno == EINTR) /* SIGCONT after a stop */
                ;
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
        report_fds();
        report_limit("core", RLIMIT_CORE);
        report_limit("memlock", RLIMIT_MEMLOCK);
        report_filter();
        report_signals(&blocked);
        for (int i = 0; i < argc; i++)
                take_fd(argv[i], getenv("FAKE_VMM_REPORT"));
        if (streq(todo, "default"))
                (void) sigprocmask(SIG_SETMASK, &blocked, NULL);
        fprintf(report, "ready\n");
        fflush(report);

        if (streq(todo, "default"))
                for (;;)
                        (void) pause();
        if (streq(todo, "wait"))
                return wait_for_signal(&signals);
        (void) sigprocmask(SIG_SETMASK, &blocked, NULL);
        if ((value = startswith(todo, "exit ")))
                return atoi(value);
        if ((value = startswith(todo, "kill ")))
                return kill(getpid(), atoi(value)) + 98;
        if (streq(todo, "fill"))
                return fill_image();
        return 97;
}
