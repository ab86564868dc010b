/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "supervise.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "log.h"

#define QUIT_TIMEOUT_SEC 5  /* for QEMU to do what its monitor is told */
#define KILL_STEPS 1000U    /* until nothing of what was started is left, 1 ms each */
#define GONE_TIMEOUT_SEC 10 /* for the command to end when the VM has */

typedef struct Supervisor {
        Watch *watch;
        int monitor_fd;
        int signal_fd;
        sigset_t mask;           /* the caller's, */
        struct sigaction action; /* and what it does about SIGCHLD */
        pid_t vmm, guard;
        bool hearing;      /* the guest's port is open */
        bool monitor_open; /* and so is the monitor */
        bool exited;
        int status; /* of waitpid(2), when exited */
} Supervisor;

/* The negotiation is refused the second time, which does no harm. */
static void tell_monitor(int fd, const char *command) {
        char text[128];

        (void) snprintf(text, sizeof(text), "{\"execute\":\"qmp_capabilities\"}\n%s\n", command);
        (void) send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

#define QUIT "{\"execute\":\"quit\"}"

/* The socket ends with the other process; a VM that has ended by then does not hear this. The byte from here
 * says that nothing else is open any more: the VM's end would go unnoticed. */
_Noreturn static void run_guard(int monitor_fd, int socket_fd) {
        char byte;

        watch_let_go(socket_fd, monitor_fd, true, "ccvm-guard");
        (void) !write(STDIN_FILENO, "", 1);
        while (read(STDIN_FILENO, &byte, 1) < 0 && errno == EINTR)
                ;
        tell_monitor(STDOUT_FILENO, QUIT);
        _exit(0);
}

static int start_guard(Supervisor *s) {
        char ready;
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        s->guard = fork();
        if (s->guard == 0)
                run_guard(s->monitor_fd, fds[0]);
        safe_close(fds[0]);
        /* The other end stays open for as long as this process lives. */
        return s->guard < 0 || read(fds[1], &ready, 1) != 1 ? -EAGAIN : 0;
}

/* In the child. Another parent than ours: it was killed before there was a tie to it. */
_Noreturn static void execute(const Supervisor *s, pid_t parent, const int *pass_fds, char *const *command) {
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
                _exit(1);
        for (; *pass_fds >= 0; pass_fds++)
                (void) fcntl(*pass_fds, F_SETFD, 0);
        (void) sigaction(SIGCHLD, &s->action, NULL);
        (void) sigprocmask(SIG_SETMASK, &s->mask, NULL);
        execvp(command[0], command);
        (void) log_error_errno(errno, "Cannot run '%s'", command[0]);
        _exit(1);
}

/* What the VMM has must not stay open here: its end would go unnoticed. */
static int start_vmm(Supervisor *s, const int *pass_fds, char *const *command) {
        pid_t parent = getpid();

        s->vmm = fork();
        if (s->vmm == 0)
                execute(s, parent, pass_fds, command);
        for (; *pass_fds >= 0; pass_fds++)
                safe_close(*pass_fds);
        return s->vmm < 0 ? -EAGAIN : 0;
}

/* Ctrl-Z has stopped the VMM: the shell waits for this process to stop, too. Not where it has to be awake
 * when somebody else wakes the VMM. */
static void stop_along(const Supervisor *s) {
        if (s->watch->config->require_encrypted)
                return;
        (void) raise(SIGSTOP);
        (void) kill(s->vmm, SIGCONT);
}

static void reap(Supervisor *s) {
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0)
                if (pid == s->vmm && WIFSTOPPED(status))
                        stop_along(s);
                else if (pid == s->vmm) {
                        s->exited = true;
                        s->status = status;
                } else if (pid == s->guard && !WIFSTOPPED(status))
                        s->guard = 0;
}

/* What comes from a terminal goes to the whole foreground group, and so to the VMM already. */
static void handle_signals(Supervisor *s) {
        struct signalfd_siginfo info;

        while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info))
                if (info.ssi_signo == SIGCHLD)
                        reap(s);
                else if (!s->exited && info.ssi_code != SI_KERNEL)
                        (void) kill(s->vmm, (int) info.ssi_signo);
}

/* What the monitor says is QEMU's own, and not the guest's to write. After a reset the guest has to report
 * again; one that only ever resets has no more time for it. */
static void read_monitor(Supervisor *s) {
        static const char reset[] = "\"event\": \"RESET\"";
        char bytes[4096];
        ssize_t n;

        while ((n = recv(s->monitor_fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
                if (memmem(bytes, (size_t) n, reset, strlen(reset)) && !s->watch->waiting)
                        watch_expect(s->watch);
        s->monitor_open = n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Waits at most so long (-1: for ever) for anything to happen. */
static void wait_for_events(Supervisor *s, int msec) {
        struct pollfd pfd[] = {
                { .fd = s->signal_fd, .events = POLLIN },
                { .fd = s->monitor_open ? s->monitor_fd : -1, .events = POLLIN },
                { .fd = s->hearing ? s->watch->socket_fd : -1, .events = POLLIN },
        };

        (void) poll(pfd, ELEMENTSOF(pfd), msec);
        handle_signals(s);
        /* First what the guest has said before its reset. */
        if (s->hearing)
                s->hearing = watch_read(s->watch) != 0;
        if (s->monitor_open)
                read_monitor(s);
}

/* Why the VM must not go on, or NULL; "" if that has been said. A port that is closed is the VM's end, which
 * has to come true in time: whoever stands before the VMM ends then, too. */
static const char *reason_to_end(Supervisor *s) {
        Watch *w = s->watch;

        if (!w->config->require_encrypted)
                return NULL;
        if (w->not_encrypted)
                return "";
        if (s->exited)
                return s->monitor_open ? "what was started has ended, and the VM has not" : NULL;
        if (s->guard == 0)
                return "the process that ends the VM after this one is gone";
        if (!s->hearing && !w->waiting)
                watch_expect_within(w, GONE_TIMEOUT_SEC,
                                    "the command goes on, and nothing is heard of its VM any more");
        return NULL;
}

/* Until the command has ended, or must. The guest's last words are in the socket by then. */
static const char *run(Supervisor *s) {
        const char *why;

        while (!(why = reason_to_end(s)) && !s->exited) {
                wait_for_events(s, watch_remaining_msec(s->watch));
                watch_expire(s->watch);
        }
        while (!why && s->hearing && watch_read(s->watch) > 0)
                ;
        if (!why && WIFEXITED(s->status) && WEXITSTATUS(s->status) == 0 && s->watch->boots == 0)
                watch_never_heard(s->watch);
        return why ?: reason_to_end(s);
}

/* The kernel's list (proc_pid_task(5)). NULL where /proc is that of another PID namespace, whose numbers are
 * others, or where there is no such list. */
static FILE *open_children(void) {
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/self/task/%ld/children", (long) getpid());
        return fopen(path, "re");
}

bool supervise_reaches_all(void) {
        _cleanup_fclose_ FILE *f = open_children();

        return f || getpid() == 1;
}

/* False if there are none. */
static bool kill_children(const Supervisor *s) {
        _cleanup_fclose_ FILE *f = open_children();
        bool found = !s->exited;
        long pid;

        if (!s->exited)
                (void) kill(s->vmm, SIGKILL);
        while (f && fscanf(f, "%ld", &pid) == 1)
                if (pid != s->guard) {
                        (void) kill((pid_t) pid, SIGKILL);
                        found = true;
                }
        return found;
}

/* What a killed process leaves running becomes our child. The end of a PID 1 is that of all others. */
static void kill_all(Supervisor *s) {
        for (unsigned i = 0; kill_children(s); i++) {
                if (i == KILL_STEPS) {
                        log_warning("Not all processes of the VM could be ended");
                        return;
                }
                (void) usleep(1000);
                reap(s);
        }
}

static void end_vm(Supervisor *s, const char *why) {
        if (*why)
                log_warning("%s; ending the VM (--require-encrypted)", why);
        if (s->monitor_open)
                tell_monitor(s->monitor_fd, QUIT);
        watch_expect_within(s->watch, QUIT_TIMEOUT_SEC, NULL);
        while (s->monitor_open && watch_remaining_msec(s->watch) > 0)
                wait_for_events(s, watch_remaining_msec(s->watch));
        kill_all(s);
}

static int finish(Supervisor *s, const char *why) {
        if (why) {
                end_vm(s, why);
                return SUPERVISE_NOT_ENCRYPTED;
        }
        return WIFSIGNALED(s->status) ? 128 + WTERMSIG(s->status) : WEXITSTATUS(s->status);
}

/* All signals come by the descriptor; a fault of our own ends this process all the same. */
static int take_signals(Supervisor *s) {
        static const struct sigaction action = { .sa_handler = SIG_DFL };
        sigset_t all;

        (void) sigfillset(&all);
        (void) sigaction(SIGCHLD, &action, &s->action);
        (void) sigprocmask(SIG_BLOCK, &all, &s->mask);
        s->signal_fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
        return s->signal_fd < 0 ? -errno : 0;
}

int supervise(Watch *w, int monitor_fd, const int *pass_fds, char *const *command) {
        Supervisor s = {
                .watch = w,
                .monitor_fd = monitor_fd,
                .hearing = true,
                .monitor_open = monitor_fd >= 0,
        };
        int r;

        (void) prctl(PR_SET_CHILD_SUBREAPER, 1);
        r = take_signals(&s);
        if (r >= 0 && monitor_fd >= 0)
                r = start_guard(&s);
        if (r >= 0)
                r = start_vmm(&s, pass_fds, command);
        if (r < 0)
                return log_error_errno(r, "Cannot start the processes that watch over the VM");
        if (monitor_fd >= 0)
                tell_monitor(monitor_fd, "");
        return finish(&s, run(&s));
}
