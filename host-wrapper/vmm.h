/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a VMM is asked for, whatever its syntax. QEMU's command is extended (qemu.h); for the others the
 * arguments are printed only, for whoever writes their command line. */

#include "argv.h"

/* The serial that the guest looks for; 20 bytes is the virtio limit. */
#define VMM_DISK_SERIAL "ccvm-scratch"

/* The virtio-serial port on which the guest reports. */
#define VMM_REPORT_PORT "ccvm.status"

/* What tells the guest that there is a disk. */
#define VMM_CMDLINE_OPTION "ccvm.vm_disk=1"
#define VMM_CREDENTIAL "io.systemd.credential:ccvm.vm-disk=1"

typedef enum VmmMarker {
        VMM_MARKER_AUTO, /* both of the next two, as far as the command allows */
        VMM_MARKER_APPEND,
        VMM_MARKER_CREDENTIAL,
        VMM_MARKER_NONE,
} VmmMarker;

typedef enum VmmKind {
        VMM_QEMU,
        VMM_CLOUD_HYPERVISOR,
        VMM_CROSVM,
        VMM_FIRECRACKER,
        VMM_VMSPAWN, /* systemd-vmspawn, from 259 on */
        _VMM_KIND_INVALID = -EINVAL,
} VmmKind;

typedef struct VmmRequest {
        int image_fd;   /* as the VMM inherits it */
        int report_fd;  /* likewise, a stream socket for the guest's report; negative: no port for it */
        int monitor_fd; /* likewise, one for a QMP monitor; negative: none */
        VmmMarker marker;
        bool lock_memory;
        bool require_encrypted; /* the guest, too, is told to power off instead of falling back */
} VmmRequest;

/* The first word of the command that is a VMM's program, whatever launcher stands before it. Its index is in
 * *ret_index. _VMM_KIND_INVALID if there is none. */
VmmKind vmm_find(char *const *command, size_t *ret_index);

/* Extends a kernel command line (NULL: none yet) by words: before a "--", which ends the kernel's part. For
 * the caller to free; NULL if memory is out. */
char *vmm_extend_cmdline(const char *cmdline, const char *words);

/* Adds what a VMM other than QEMU is to be given, an argument, or an object of its API, a line. For the
 * kernel command line it is words. serial: what Firecracker shows as the disk's, which is made of the image.
 */
void vmm_describe(Argv *args, VmmKind kind, const VmmRequest *request, const char *serial);
