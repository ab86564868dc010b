/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "systemctl.h"

#include <spawn.h>
#include <sys/wait.h>

#include "log.h"

int systemctl_run(const char *verb, const char *argument) {
        const char *argv[] = { "systemctl", "--quiet", verb, argument, NULL };
        int wstatus, e;
        pid_t pid;

        e = posix_spawnp(&pid, argv[0], NULL, NULL, (char **) argv, environ);
        if (e != 0)
                return log_error_errno(e, "Failed to start systemctl");
        while (waitpid(pid, &wstatus, 0) < 0)
                if (errno != EINTR)
                        return log_error_errno(errno, "Failed to wait for systemctl");
        return WIFEXITED(wstatus) && WEXITSTATUS(wstatus) == 0 ? 0 : -EIO;
}
