/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ccvm-scratch-run: run a VMM with a throw-away disk.
 *
 * Runs on the host, where the VMM's own command stood: makes a sparse image without a name, extends the
 * VMM's arguments by it and by the marker that tells the guest, and executes the VMM *in place*.
 *
 * In place, not as a child: so signals reach the VMM, its exit status comes back, job control, MainPID= and
 * NOTIFY_SOCKET= are its own, and there is no wrapper that could die without it. A supervising parent would
 * have to imitate each of those, and PR_SET_PDEATHSIG, which ties a child to it, is lost when the VMM
 * changes its user (QEMU's -runas). The image goes with the last descriptor: after SIGKILL, a crash or a
 * power cut there is nothing to clean up, and nobody who would have to. What has to be heard from the guest,
 * a watcher beside the VMM hears (watch.h).
 *
 * Must never: see, make or pass a key; write anything but the image, the marker and the status file; leave
 * the image behind; run the VMM when it cannot keep what it promises. */

#include <fcntl.h>
#include <libgen.h>
#include <sys/socket.h>

#include "cloud-hypervisor.h"
#include "config.h"
#include "image.h"
#include "log.h"
#include "memory.h"
#include "qemu.h"
#include "watch.h"

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

static int check_place(const Config *c, int fd, const char *name) {
        int r;

        r = image_check_backing(fd, name, c->allow_ram);
        return r < 0 ? r : image_check_space(fd, name, c->disk_size);
}

/* Opens and checks the directory that the image goes to. Returns its descriptor. */
static int open_place(const Config *c, const char *dir) {
        _cleanup_close_ int fd = -EBADF;
        int r;

        fd = image_open_dir(dir, c->scratch_dir_default && !c->keep_image, c->dry_run);
        if (fd < 0)
                return fd;
        r = check_place(c, fd, dir);
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

static int allow_lock(const Config *c) {
        QemuCommand command;
        uint64_t size;

        qemu_scan(c->command, &command);
        if (memory_parse_size(command.memory, &size) < 0)
                return 0; /* QEMU will say what it does not like about -m */
        return memory_allow_lock(size);
}

/* Makes the command into args, or with print_args only what is to be added to it. */
static int assemble(const Config *c, const VmmRequest *request, Argv *args) {
        QemuCommand scanned;
        int r = 0;

        if (!c->print_args)
                r = argv_extend(args, c->command);
        if (r >= 0 && c->vmm == VMM_CLOUD_HYPERVISOR)
                r = cloud_hypervisor_attach(args, request);
        else if (r >= 0) {
                qemu_scan(c->command, &scanned);
                r = qemu_attach(args, &scanned, request);
        }
        return r < 0 ? log_error_errno(r, "Cannot assemble the VMM's arguments") : 0;
}

static int print_args(const Config *c) {
        const VmmRequest request = {
                .image_fd = c->image_fd,
                .report_fd = -EBADF,
                .marker = c->marker == VMM_MARKER_AUTO ? VMM_MARKER_CREDENTIAL : c->marker,
                .lock_memory = c->lock_memory,
        };
        _cleanup_(argv_done) Argv args = {};
        int r;

        r = image_check_fd(c->image_fd, c->disk_size);
        if (r >= 0)
                r = check_place(c, c->image_fd, "--image-fd");
        if (r >= 0)
                r = image_adopt(c->image_fd, c->disk_size);
        if (r >= 0)
                r = assemble(c, &request, &args);
        return r < 0 ? r : print_lines(args.v);
}

/* The descriptors' numbers are those that run_vmm() will get, since nothing else is opened in between. */
static int dry_run(const Config *c) {
        VmmRequest request = { .marker = c->marker, .lock_memory = c->lock_memory };
        _cleanup_free_ char *dir = image_directory(c);
        _cleanup_close_ int dir_fd = -EBADF;
        _cleanup_(argv_done) Argv args = {};
        int r;

        if (!dir)
                return log_oom();
        dir_fd = open_place(c, dir);
        if (dir_fd < 0)
                return dir_fd;
        request.image_fd = dir_fd + 1;
        request.report_fd = c->vmm == VMM_QEMU ? dir_fd + 2 : -EBADF;
        r = assemble(c, &request, &args);
        return r < 0 ? r : print_lines(args.v);
}

static int start_watcher(const Config *c, int socket_fd) {
        return watch_start(
                &(const WatchConfig) {
                        .status_file = c->status_file,
                        .require_encrypted = c->require_encrypted,
                        .report_timeout_sec = c->report_timeout_sec,
                },
                socket_fd);
}

/* Nothing is left to go wrong but the VMM itself. The watcher comes last: what this process writes to memory
 * after the fork has to be copied first. */
static int inherit_and_execute(const Config *c, const VmmRequest *request, int watcher_fd,
                               char *const *command) {
        int r;

        if (fcntl(request->image_fd, F_SETFD, 0) < 0 ||
            (request->report_fd >= 0 && fcntl(request->report_fd, F_SETFD, 0) < 0))
                return log_error_errno(errno, "Cannot pass the image on");
        r = watcher_fd >= 0 ? start_watcher(c, watcher_fd) : 0;
        return r < 0 ? r : execute(command);
}

static int make_report_socket(int *ret_vmm_fd, int *ret_watcher_fd) {
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return log_error_errno(errno, "Cannot make a socket for the guest's report");
        *ret_vmm_fd = pair[0];
        *ret_watcher_fd = pair[1];
        return 0;
}

static int make_image(const Config *c, int dir_fd, const char *dir) {
        return c->keep_image ? image_create_named(c->keep_image, c->disk_size)
                             : image_create(dir_fd, dir, c->disk_size);
}

static int run_vmm(const Config *c) {
        _cleanup_close_ int dir_fd = -EBADF, image_fd = -EBADF, report_fd = -EBADF, watcher_fd = -EBADF;
        _cleanup_free_ char *dir = image_directory(c);
        _cleanup_(argv_done) Argv args = {};
        VmmRequest request;
        int r;

        if (!dir)
                return log_oom();
        r = c->lock_memory ? allow_lock(c) : 0;
        if (r < 0)
                return r;
        dir_fd = open_place(c, dir);
        if (dir_fd < 0)
                return dir_fd;
        image_fd = make_image(c, dir_fd, dir);
        if (image_fd < 0)
                return image_fd;
        r = c->vmm == VMM_QEMU ? make_report_socket(&report_fd, &watcher_fd) : 0;
        if (r < 0)
                return r;

        request = (VmmRequest) { image_fd, report_fd, c->marker, c->lock_memory };
        r = assemble(c, &request, &args);
        if (r >= 0 && c->seed)
                r = write_seed(c->seed);
        if (r < 0)
                return r;
        if (!c->lock_memory)
                memory_warn_of_swap();
        memory_forbid_core_dumps();
        return inherit_and_execute(c, &request, watcher_fd, args.v);
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
        return run_config(&c) < 0;
}

int main(int argc, char **argv) {
        log_setup("ccvm-scratch-run");
        return run(argc, argv);
}
