/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ccvm-scratch-run: run a VMM with a throw-away disk.
 *
 * Runs on the host, where the VMM's own command stood: makes a sparse image without a name, extends the
 * VMM's arguments by it and by the marker that tells the guest, and executes the VMM *in place*.
 *
 * In place, not as a child: so signals reach the VMM, its exit status comes back, job control, MainPID= and
 * NOTIFY_SOCKET= are its own, and there is no wrapper that could die without it. The image goes with the
 * last descriptor: after SIGKILL, a crash or a power cut there is nothing to clean up, and nobody who would
 * have to. What the guest says a watcher beside the VMM hears (watch.h). Only where something is promised of
 * the VM's end there is a parent that imitates all this (supervise.h).
 *
 * Must never: see, make or pass a key; write anything but the image, the marker and the status file; leave
 * the image behind; run the VMM when it cannot keep what it promises. */

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "config.h"
#include "log.h"
#include "memory.h"
#include "supervise.h"

static int execute(char *const *command) {
        execvp(command[0], command);
        return log_error_errno(errno, "Cannot run '%s'", command[0]);
}

static int print_lines(char *const *lines) {
        for (; *lines; lines++)
                puts(*lines);
        return fflush(stdout) == EOF ? log_error_errno(errno, "Cannot write the arguments") : 0;
}

/* The seed directory's only file of ours; its content is public. */
static int write_seed(const char *dir) {
        _cleanup_close_ int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -EBADF;

        if (dir_fd >= 0)
                fd = openat(dir_fd, "vm-disk", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0 || write(fd, "1", 1) != 1)
                return log_error_errno(errno,
                                       "Cannot write the marker '%s/vm-disk'; give --seed a directory that "
                                       "you may write to",
                                       dir);
        return 0;
}

/* As Firecracker makes the serial of a disk, of the file's numbers, cut to what virtio can show. */
static int describe(const Config *c, const VmmRequest *request, Argv *args) {
        char serial[21];
        struct stat st;

        if (fstat(request->image_fd, &st) < 0)
                return log_error_errno(errno, "Cannot look at the image");
        (void) snprintf(serial, sizeof(serial), "%llu%llu%llu", (unsigned long long) st.st_dev,
                        (unsigned long long) st.st_rdev, (unsigned long long) st.st_ino);
        vmm_describe(args, c->vmm, request, serial);
        return 0;
}

/* What is to be added for an image of the caller's. */
static int print_args(const Config *c) {
        _cleanup_(argv_done) Argv args = {};
        VmmRequest request = c->request;
        int r;

        if (request.marker == VMM_MARKER_AUTO)
                request.marker = VMM_MARKER_CREDENTIAL;
        r = image_adopt(&c->image, request.image_fd);
        if (r >= 0 && c->vmm == VMM_QEMU)
                qemu_attach(&args, &c->qemu, &request);
        else if (r >= 0)
                r = describe(c, &request, &args);
        if (r >= 0 && args.error)
                r = log_oom();
        return r < 0 ? r : print_lines(args.v);
}

static int make_socket(int *ret_vmm_fd, int *ret_fd) {
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return log_error_errno(errno, "Cannot make a socket for the guest's report");
        *ret_vmm_fd = pair[0];
        *ret_fd = pair[1];
        return 0;
}

static int assemble(const Config *c, const VmmRequest *request, Argv *args) {
        const char *warning = qemu_warning(&c->qemu, request->marker);

        if (warning)
                log_warning("%s", warning);
        argv_extend(args, c->command);
        qemu_attach(args, &c->qemu, request);
        return args->error ? log_oom() : 0;
}

/* Nothing is left to go wrong but the VMM itself. Returns the exit status, or -errno. */
static int start(const Config *c, VmmRequest *request, int report_fd, int monitor_fd, char *const *command) {
        const int pass_fds[] = { request->image_fd, request->report_fd, request->monitor_fd, -EBADF };
        _cleanup_(watch_done) Watch watch = {};
        int r;

        if (c->watch.require_encrypted && c->launched && !supervise_reaches_all()) {
                log_error("--require-encrypted cannot end what '%s' starts, since /proc does not list it; "
                          "mount the /proc of this PID namespace, or start the VMM directly",
                          command[0]);
                return -EPERM;
        }
        r = watch_open(&c->watch, report_fd, &watch);
        if (r < 0)
                return r;
        if (!c->qemu.daemon && (c->watch.status_file || c->watch.require_encrypted)) {
                request->image_fd = request->report_fd = request->monitor_fd = -EBADF; /* closed in there */
                return supervise(&watch, monitor_fd, pass_fds, command);
        }
        r = watch_beside(&watch);
        for (const int *fd = pass_fds; r >= 0 && *fd >= 0; fd++)
                r = fcntl(*fd, F_SETFD, 0) < 0 ? log_error_errno(errno, "Cannot pass the image on") : 0;
        return r < 0 ? r : execute(command);
}

static void request_done(VmmRequest *r) {
        safe_close(r->image_fd);
        safe_close(r->report_fd);
        safe_close(r->monitor_fd);
}

/* A dry run goes the same way, so that what it prints is what is run. */
static int run_vmm(const Config *c) {
        _cleanup_close_ int report_fd = -EBADF, monitor_fd = -EBADF;
        _cleanup_(request_done) VmmRequest request = c->request;
        _cleanup_(argv_done) Argv args = {};
        int r;

        r = request.lock_memory && !c->dry_run ? memory_allow_lock(c->qemu.memory) : 0;
        if (r < 0)
                return r;
        request.image_fd = c->dry_run ? image_pretend(&c->image) : image_open(&c->image);
        if (request.image_fd < 0)
                return request.image_fd;
        r = make_socket(&request.report_fd, &report_fd);
        if (r >= 0 && request.require_encrypted)
                r = make_socket(&request.monitor_fd, &monitor_fd);
        if (r >= 0)
                r = assemble(c, &request, &args);
        if (r >= 0 && c->dry_run)
                return print_lines(args.v);
        if (r >= 0 && c->seed)
                r = write_seed(c->seed);
        if (r < 0)
                return r;
        if (!request.lock_memory)
                memory_warn_of_swap();
        memory_forbid_core_dumps();
        return start(c, &request, report_fd, monitor_fd, args.v);
}

/* The exit status, if there is no VMM whose it would be. */
static int run(int argc, char **argv) {
        _cleanup_(config_done) Config c = {};
        int r;

        r = config_parse(argc, argv, &c);
        if (r <= 0)
                return r == -EINVAL ? 2 : r < 0;
        if (c.image.size == 0)
                r = c.print_args ? 0 : c.dry_run ? print_lines(c.command) : execute(c.command);
        else
                r = c.print_args ? print_args(&c) : run_vmm(&c);
        return r < 0 ? 1 : r;
}

/* What is opened later must not become the VMM's stdin, stdout or stderr. */
static void fill_standard_fds(void) {
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (fcntl(fd, F_GETFD) < 0)
                        (void) open("/dev/null", O_RDWR);
}

int main(int argc, char **argv) {
        fill_standard_fds();
        log_setup("ccvm-scratch-run");
        return run(argc, argv);
}
