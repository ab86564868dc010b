/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* QEMU's command line (7.2 to 10): what of the user's matters here, and what is added at its end.
 *
 * Added behind the user's own, so that the user's devices keep their slots and names. Only QEMU's own
 * merging is relied on: several -machine options are one dictionary, and the last of a key wins. */

#include "vmm.h"

typedef struct QemuCommand {
        size_t append;      /* index of the value of the last -append; 0: none */
        bool kernel;        /* -kernel: -append is allowed */
        bool microvm;       /* no PCI, virtio-mmio, no SMBIOS */
        bool x86;           /* SMBIOS needs no UEFI there */
        bool daemon;        /* -daemonize: what stays is another process than what was started */
        const char *memory; /* the value of the last -m, borrowed; NULL: none */
} QemuCommand;

/* Looks through a command (with the program's name first, or a launcher's before it). */
void qemu_scan(char *const *command, QemuCommand *ret);

/* Extends args by the disk, its marker and what else was asked for. scanned is what the user's command is;
 * with VMM_MARKER_AUTO and VMM_MARKER_APPEND args have to be that command, since a value in it may be
 * replaced. 0; -ENOMEM; -EINVAL: the marker is to be appended, and the command has neither -append nor
 * -kernel. */
int qemu_attach(Argv *args, const QemuCommand *scanned, const VmmRequest *request);
