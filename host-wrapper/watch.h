/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The watcher: a small process beside the VMM that hears the guest's report and then ends.
 *
 * Beside, not above: the VMM runs in the wrapper's own place (main.c says why), so the watcher is a
 * grandchild of it, in a session of its own, with nothing open but its end of a socket pair. It ends with
 * the report; or when the VMM's end closes, which it does however the VMM dies. */

#include "macro.h"

typedef struct WatchConfig {
        const char *status_file; /* the report is written there, atomically; NULL: nowhere */
        bool require_encrypted;  /* kill this process, and what it executes, if the guest says otherwise */
        unsigned report_timeout_sec; /* with require_encrypted: or says nothing for so long */
} WatchConfig;

/* Starts the watcher, and removes an old status_file. socket_fd is its end of a stream socket pair, whose
 * other end the VMM gets; the caller's copy stays the caller's. The watcher keeps no other of the caller's
 * descriptors but stderr. Logs what it cannot do. 0 or -errno. */
int watch_start(const WatchConfig *config, int socket_fd);
