/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The VMM's parent, where something is promised about its end: that the status file is complete by then
 * (--status-file), or that it comes when the guest's disk is not encrypted (--require-encrypted). In all
 * other cases the VMM runs in the wrapper's own place, and there is no parent.
 *
 * Signals go to the VMM, its exit status comes back. The VM is ended by what QEMU itself holds, a monitor on
 * a socket, whatever stands between it and the wrapper (timeout, strace, bwrap, a PID namespace); then by
 * SIGKILL to all that is left of what was started. A second process, the guard, ends the VM when this one is
 * killed; and when the guard is killed, this one does. */

#include "watch.h"

/* The exit status when the VM was ended, or has ended itself, because its disk was not encrypted. */
#define SUPERVISE_NOT_ENCRYPTED 3

/* Whether what a launcher has started can be ended when the launcher was: by the kernel's list of children,
 * or because this is PID 1, whose end is that of all others. */
bool supervise_reaches_all(void);

/* Runs the command until it has ended. monitor_fd: our end of a stream socket to a QMP monitor of the VMM;
 * needed with require_encrypted, else negative. pass_fds: what the VMM inherits, ended by a negative one.
 * Returns the exit status of this process, or -errno, logged, if the VMM was not started. */
int supervise(Watch *w, int monitor_fd, const int *pass_fds, char *const *command);
