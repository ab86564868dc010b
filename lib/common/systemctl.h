/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Asking the service manager, by its own program: it knows how to wait for a job.
 *
 * Used in the running system, by ccvm-scratch(1) for a renewal and by the watch for clones. */

/* Runs "systemctl --quiet" with a verb and an argument, and waits for its end. 0, or -EIO if it has failed,
 * which it says itself on stderr; logs its own errors. */
int systemctl_run(const char *verb, const char *argument);
