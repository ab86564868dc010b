/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* QEMU's command line (7.2 to 10): what of the user's matters here, and what is added at its end.
 *
 * Added behind the user's own, so that devices without an explicit address keep their slots and names. Only
 * QEMU's own merging is relied on: several -machine options are one dictionary, of which -append is a key,
 * and the last of a key wins. */

#include "vmm.h"

typedef enum QemuFirmware {
        QEMU_SMBIOS, /* x86, where SMBIOS needs no UEFI */
        QEMU_FW_CFG, /* microvm, and Arm */
        QEMU_NEITHER,
} QemuFirmware;

typedef struct QemuCommand {
        char *append;     /* the kernel command line that is in force, owned; NULL: none */
        bool kernel;      /* -kernel: -append is allowed */
        bool microvm;     /* no PCI, virtio-mmio, no SMBIOS */
        bool daemon;      /* -daemonize: what stays is another process than what was started */
        bool q35;         /* PCI Express */
        bool placed;      /* a virtio disk has an address or a bus of its own, */
        bool port_placed; /* and a PCI Express port an address */
        QemuFirmware firmware;
        const char *memory; /* the value of the last -m, borrowed; NULL: none */
} QemuCommand;

void qemu_command_done(QemuCommand *c);

/* Looks through a command from its program on. machine: the host's, by uname(2), for a program whose name
 * says none. 0 or -ENOMEM. */
int qemu_scan(char *const *command, const char *machine, QemuCommand *ret);

/* Extends args by the disk, its marker and what else was asked for. To be appended, the marker needs an
 * -append or a -kernel in the command. */
void qemu_attach(Argv *args, const QemuCommand *scanned, const VmmRequest *request);

/* What the command does that may not be meant, or NULL: the guest cannot be told of its disk, or may number
 * the disks otherwise than the command has them. */
const char *qemu_warning(const QemuCommand *c, VmmMarker marker);
