/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Telling the host how it went, over the virtio-serial port "ccvm.status" that ccvm-scratch-run attaches. */

/* Writes line, which ends in a newline, to the port; without such a port there is nothing to do. Waits at
 * most 1.2 s, and only while the kernel is still finding out which ports there are. -ENOTCONN if nobody
 * listens; other errors of open(2) and write(2). */
int report_to_host(const char *line);
