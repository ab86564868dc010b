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
#include <libgen.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "config.h"
#include "image.h"
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

/* The directory that the image goes to, for the caller to free. */
static char *image_directory(const Config *c) {
        _cleanup_free_ char *copy = NULL;

        if (!c->keep_image)
                return strdup(c->scratch_dir);
        copy = strdup(c->keep_image);
        return copy ? strdup(dirname(copy)) : NULL;
}

/* Positive if only an image can show what is below. */
static int check_place(const Config *c, int fd, const char *name) {
        int r, q;

        r = image_check_backing(fd, name, c->allow_ram);
        q = r < 0 ? r : image_check_space(fd, name, c->disk_size);
        return q < 0 ? q : r;
}

/* Opens and checks the directory that the image goes to. Returns its descriptor. */
static int open_place(const Config *c, const char *dir, bool *ret_probe) {
        _cleanup_close_ int fd = -EBADF;
        int r;

        fd = image_open_dir(dir, c->scratch_dir_default && !c->keep_image, c->dry_run);
        if (fd < 0)
                return fd;
        r = check_place(c, fd, dir);
        *ret_probe = r > 0;
        return r < 0 ? r : TAKE_FD(fd);
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

static VmmRequest request_of(const Config *c) {
        return (VmmRequest) {
                .image_fd = -EBADF,
                .report_fd = -EBADF,
                .monitor_fd = -EBADF,
                .marker = c->marker,
                .lock_memory = c->lock_memory,
                .require_encrypted = c->require_encrypted,
        };
}

static int allow_lock(const Config *c) {
        uint64_t size;

        if (memory_parse_size(c->qemu.memory, &size) < 0)
                return 0; /* QEMU will say what it does not like about -m */
        return memory_allow_lock(size);
}

/* Makes the command into args, or with print_args only what is to be added to it. */
static int assemble(const Config *c, const VmmRequest *request, Argv *args) {
        const char *warning = c->print_args ? NULL : qemu_warning(&c->qemu, c->marker);
        int r;

        if (warning)
                log_warning("%s", warning);
        r = c->print_args ? 0 : argv_extend(args, c->command);
        if (r >= 0)
                r = qemu_attach(args, &c->qemu, request);
        return r < 0 ? log_error_errno(r, "Cannot assemble the VMM's arguments") : 0;
}

/* As Firecracker makes the serial of a disk, of the file's numbers, cut to what virtio can show. */
static int describe(const Config *c, const VmmRequest *request, Argv *args) {
        char serial[21];
        struct stat st;
        int r;

        if (fstat(c->image_fd, &st) < 0)
                return log_error_errno(errno, "Cannot look at the image");
        (void) snprintf(serial, sizeof(serial), "%llu%llu%llu", (unsigned long long) st.st_dev,
                        (unsigned long long) st.st_rdev, (unsigned long long) st.st_ino);
        r = vmm_describe(args, c->vmm, request, serial);
        return r < 0 ? log_error_errno(r, "Cannot assemble the VMM's arguments") : 0;
}

static int print_args(const Config *c) {
        const VmmRequest request = {
                .image_fd = c->image_fd,
                .report_fd = -EBADF,
                .monitor_fd = -EBADF,
                .marker = c->marker == VMM_MARKER_AUTO ? VMM_MARKER_CREDENTIAL : c->marker,
                .lock_memory = c->lock_memory,
        };
        _cleanup_(argv_done) Argv args = {};
        int r;

        r = image_check_fd(c->image_fd, c->disk_size);
        if (r >= 0)
                r = check_place(c, c->image_fd, "--image-fd");
        if (r >= 0)
                r = image_adopt(c->image_fd, c->disk_size, r > 0);
        if (r >= 0)
                r = c->vmm == VMM_QEMU ? assemble(c, &request, &args) : describe(c, &request, &args);
        return r < 0 ? r : print_lines(args.v);
}

/* The descriptors' numbers are those that run_vmm() will get, since nothing else is opened in between. */
static int dry_run(const Config *c) {
        VmmRequest request = request_of(c);
        _cleanup_free_ char *dir = image_directory(c);
        _cleanup_close_ int dir_fd = -EBADF;
        _cleanup_(argv_done) Argv args = {};
        bool probe;
        int r;

        if (!dir)
                return log_oom();
        dir_fd = open_place(c, dir, &probe);
        if (dir_fd < 0)
                return dir_fd;
        request.image_fd = dir_fd + 1;
        request.report_fd = dir_fd + 2;
        request.monitor_fd = c->require_encrypted ? dir_fd + 4 : -EBADF;
        r = assemble(c, &request, &args);
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

static int make_image(const Config *c, int dir_fd, const char *dir, bool probe) {
        return c->keep_image ? image_create_named(c->keep_image, c->disk_size, probe)
                             : image_create(dir_fd, dir, c->disk_size, probe);
}

/* Nothing is left to go wrong but the VMM itself. Returns the exit status, or -errno. */
static int start(const Config *c, VmmRequest *request, int report_fd, int monitor_fd, char *const *command) {
        const int pass_fds[] = { request->image_fd, request->report_fd, request->monitor_fd, -EBADF };
        const WatchConfig config = {
                .status_file = c->status_file,
                .require_encrypted = c->require_encrypted,
                .timeout_sec = c->report_timeout_sec,
                .quiet = c->qemu.daemon,
        };
        _cleanup_(watch_done) Watch watch = {};
        int r;

        if (c->require_encrypted && c->launched && !supervise_reaches_all()) {
                log_error("--require-encrypted cannot end what '%s' starts, since /proc does not list it; "
                          "mount the /proc of this PID namespace, or start the VMM directly",
                          command[0]);
                return -EPERM;
        }
        r = watch_open(&config, report_fd, &watch);
        if (r < 0)
                return r;
        if (!c->qemu.daemon && (c->status_file || c->require_encrypted)) {
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

static int run_vmm(const Config *c) {
        _cleanup_close_ int dir_fd = -EBADF, report_fd = -EBADF, monitor_fd = -EBADF;
        _cleanup_(request_done) VmmRequest request = request_of(c);
        _cleanup_free_ char *dir = image_directory(c);
        _cleanup_(argv_done) Argv args = {};
        bool probe;
        int r;

        if (!dir)
                return log_oom();
        r = c->lock_memory ? allow_lock(c) : 0;
        if (r < 0)
                return r;
        dir_fd = open_place(c, dir, &probe);
        if (dir_fd < 0)
                return dir_fd;
        request.image_fd = make_image(c, dir_fd, dir, probe);
        if (request.image_fd < 0)
                return request.image_fd;
        r = make_socket(&request.report_fd, &report_fd);
        if (r >= 0 && c->require_encrypted)
                r = make_socket(&request.monitor_fd, &monitor_fd);
        if (r >= 0)
                r = assemble(c, &request, &args);
        if (r >= 0 && c->seed)
                r = write_seed(c->seed);
        if (r < 0)
                return r;
        if (!c->lock_memory)
                memory_warn_of_swap();
        memory_forbid_core_dumps();
        dir_fd = safe_close(dir_fd);
        return start(c, &request, report_fd, monitor_fd, args.v);
}

static int run_config(const Config *c) {
        if (c->disk_size == 0 && c->print_args)
                return 0;
        if (c->disk_size == 0)
                return c->dry_run ? print_lines(c->command) : execute(c->command);
        if (c->print_args)
                return print_args(c);
        return c->dry_run ? dry_run(c) : run_vmm(c);
}

/* The exit status, if there is no VMM whose it would be. */
static int run(int argc, char **argv) {
        _cleanup_(config_done) Config c = {};
        int r;

        r = config_parse(argc, argv, &c);
        if (r <= 0)
                return r == -EINVAL ? 2 : r < 0;
        r = run_config(&c);
        return r < 0 ? 1 : r;
}

/* What is opened later must not become the VMM's stdin, stdout or stderr. */
static void fill_standard_fds(void) {
        int fd;

        do
                fd = open("/dev/null", O_RDWR);
        while (fd >= 0 && fd <= STDERR_FILENO);
        safe_close(fd);
}

int main(int argc, char **argv) {
        fill_standard_fds();
        log_setup("ccvm-scratch-run");
        return run(argc, argv);
}
