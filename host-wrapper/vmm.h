/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the VMM is asked for, whatever its syntax. Assembly is a pure function of the user's command and
 * this. */

#include "argv.h"

/* The serial that the guest looks for; 20 bytes is the virtio limit. */
#define VMM_DISK_SERIAL "ccvm-scratch"

/* The virtio-serial port on which the guest reports. */
#define VMM_REPORT_PORT "ccvm.status"

/* What tells the guest that there is a disk. */
#define VMM_CMDLINE_OPTION "ccvm.vm_disk=1"
#define VMM_CREDENTIAL_NAME "ccvm.vm-disk"

typedef enum VmmMarker {
        VMM_MARKER_AUTO, /* the kernel command line, if the command has one that can be extended; else: */
        VMM_MARKER_APPEND,
        VMM_MARKER_CREDENTIAL,
        VMM_MARKER_NONE,
        _VMM_MARKER_INVALID = -EINVAL,
} VmmMarker;

typedef enum VmmKind {
        VMM_QEMU,
        VMM_CLOUD_HYPERVISOR,
        _VMM_KIND_INVALID = -EINVAL,
} VmmKind;

typedef struct VmmRequest {
        int image_fd;  /* as the VMM inherits it */
        int report_fd; /* likewise, the stream socket for the guest's report; negative: no port for it */
        VmmMarker marker;
        bool lock_memory;
} VmmRequest;

/* "qemu", "cloud-hypervisor", or _VMM_KIND_INVALID. */
VmmKind vmm_kind_from_string(const char *s);

/* What the command's first word looks like; QEMU if it looks like nothing. */
VmmKind vmm_kind_of_program(const char *program);

/* AUTO, APPEND, CREDENTIAL, NONE from their names in small letters, or _VMM_MARKER_INVALID. */
VmmMarker vmm_marker_from_string(const char *s);

/* Extends a kernel command line (NULL: none yet) by the marker: before a "--", which ends the kernel's part,
 * and not a second time. ret is for the caller to free. 0 or -ENOMEM. */
int vmm_extend_cmdline(const char *cmdline, char **ret);
