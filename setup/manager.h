/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The service manager, asked on its own socket. */

#include <stdint.h>

#include "macro.h"

/* Starts a unit and waits until its job is done, however that ends; one that is queued already is waited
 * for. What the bus gives. */
int manager_run(const char *unit);

/* Whether there is one to be asked. */
bool manager_is_there(void);

/* Powers off at once, as FailureAction=poweroff-force does. What the bus gives. */
int manager_power_off(void);

/* The manager learns of mounts by the mount table and of devices by udev, each in its own time. A mount
 * whose device it takes for gone it unmounts (StopPropagatedFrom=, see systemd.mount(5)), and with it what
 * is mounted in its place by now. So whoever changes both waits in between, until end (now_usec()).
 * -ETIMEDOUT, or what the bus gives. */

/* Until it has seen that the block device node, a link, is the device that it is now, by a mount of it. */
int manager_wait_for_device(const char *node, uint64_t end);

/* Waits until it has seen that what, a source as the mount table has it, is mounted on where, a path
 * without links. That it has not seen the one before says nothing: it reads the table five times a second
 * at most. */
int manager_wait_for_mount(const char *where, const char *what, uint64_t end);
