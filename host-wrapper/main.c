/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ccvm-scratch-run: runs QEMU with a throw-away disk.
 *
 * When: on the host, where QEMU's own command stood. It prepares descriptors (a sparse image without a
 * name, a file for the guest's report), extends QEMU's arguments by them and by the marker that tells the
 * guest, and executes QEMU in its own place. There is no other process, before, beside or after it:
 * signals, terminal, limits, exit status and MainPID= are QEMU's, and the image goes with its last
 * descriptor. What the guest reports QEMU itself writes down; what is done when the disk is not encrypted
 * the guest does.
 *
 * Must never: see, make or pass a key; write anything but the image, the marker and the status file; leave
 * the image behind; run QEMU when it cannot keep what it promises. */

#include <fcntl.h>

#include "image.h"
#include "log.h"
#include "memory.h"
#include "options.h"
#include "qemu.h"

#define EXIT_REFUSED 125 /* as env(1) has it, so that it is none of QEMU's own, and 126 and 127 */

/* Fills gaps among stdin, stdout and stderr, so that nothing that is opened later becomes one of them. */
static void fill_standard_fds(void) {
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (fcntl(fd, F_GETFD) < 0)
                        (void) open("/dev/null", O_RDWR);
}

/* Prints the command as a shell takes it back, a word a line. */
static int print_command(char *const *command) {
        for (; *command; command++) {
                putchar('\'');
                for (const char *p = *command; *p; p++)
                        *p == '\'' ? (void) fputs("'\\''", stdout) : (void) putchar(*p);
                fputs(command[1] ? "' \\\n" : "'\n", stdout);
        }
        return fflush(stdout) == EOF ? log_error_errno(errno, "Cannot write the command") : 0;
}

/* Opens the status file and empties it, so that no earlier VM's report is taken for this one's. A FIFO is
 * open when it has a reader. A dry run only finds out whether the file could be opened, and waits for
 * nobody. */
static int open_status_file(const Options *o) {
        bool is_new = access(o->status_file, F_OK) < 0;
        int fd, flags = O_CREAT | O_NOCTTY | (o->image.dry_run ? O_RDWR : O_WRONLY | O_TRUNC);

        fd = open(o->status_file, flags | (o->image.size > 0 ? 0 : O_CLOEXEC), 0666);
        if (fd < 0)
                return log_error_errno(errno, "Cannot write the status file '%s'; name another",
                                       o->status_file);
        if (o->image.dry_run && is_new)
                (void) unlink(o->status_file);
        return fd;
}

/* Writes the marker, or takes away that of an earlier run. Nothing that lies there under its name is opened:
 * the directory may be the guest's, too. */
static int write_seed(const Options *o) {
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = -EBADF;
        bool done;

        if (asprintf(&path, "%s/vm-disk", o->seed) < 0)
                return log_oom();
        if (o->image.dry_run)
                done = access(o->seed, W_OK | X_OK) >= 0;
        else
                done = unlink(path) >= 0 || errno == ENOENT;
        if (done && o->image.size > 0 && !o->image.dry_run) {
                fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
                done = fd >= 0 && write(fd, "1", 1) == 1;
        }
        return done ? 0 : log_error_errno(errno, "Cannot write the marker '%s'; name another --seed", path);
}

/* Makes what QEMU is to be given, and its arguments. NULL if that fails or is refused; logged. */
static char **prepare(const Options *o, int status_fd) {
        int image_fd = image_make(&o->image);

        if (image_fd < 0)
                return NULL;
        if (o->lock_memory)
                memory_raise_lock_limit();
        else
                memory_warn_of_swap();
        memory_forbid_core_dumps();
        return qemu_extend(o->command, &(QemuRequest) { .image_fd = image_fd,
                                                        .status_fd = status_fd,
                                                        .lock_memory = o->lock_memory,
                                                        .require_encrypted = o->require_encrypted });
}

/* Returns the exit status, if QEMU has not taken this process over. */
static int run(const Options *o, int status_fd) {
        char *const *command = o->image.size > 0 ? prepare(o, status_fd) : o->command;

        if (!command || (o->seed && write_seed(o) < 0))
                return EXIT_REFUSED;
        if (o->image.dry_run)
                return print_command(command) < 0 ? EXIT_REFUSED : EXIT_SUCCESS;
        execvp(command[0], command);
        return log_error_errno(errno, "Cannot run '%s'", command[0]) == -ENOENT ? 127 : 126;
}

int main(int argc, char **argv) {
        int status_fd = -EBADF, r;
        Options o = {};

        fill_standard_fds();
        log_setup("ccvm-scratch-run");
        r = options_parse(argc, argv, &o);
        if (r == 0)
                return EXIT_SUCCESS;
        /* Also when the start is refused: who reads the file then must not find what an earlier VM said. */
        if (o.status_file)
                status_fd = open_status_file(&o);
        if (r < 0 || (o.status_file && status_fd < 0))
                return EXIT_REFUSED;
        return run(&o, status_fd);
}
