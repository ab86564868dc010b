/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "vmm.h"

/* "qemu-system-x86_64", "qemu-system-x86_64-microvm", and no file that is named after them. */
static bool is_qemu_system(const char *name) {
        const char *architecture = startswith(name, "qemu-system-");
        size_t n;

        if (!architecture)
                return false;
        n = strspn(architecture, "abcdefghijklmnopqrstuvwxyz0123456789_");
        return n > 0 && (architecture[n] == '\0' || streq(architecture + n, "-microvm"));
}

static VmmKind kind_of_program(const char *word) {
        const char *slash = strrchr(word, '/'), *name = slash ? slash + 1 : word;

        if (is_qemu_system(name) || streq(name, "qemu-kvm") || streq(name, "qemu") || streq(name, "kvm"))
                return VMM_QEMU;
        if (streq(name, "cloud-hypervisor") || streq(name, "cloud-hypervisor-static"))
                return VMM_CLOUD_HYPERVISOR;
        return streq(name, "crosvm")            ? VMM_CROSVM
               : streq(name, "firecracker")     ? VMM_FIRECRACKER
               : streq(name, "systemd-vmspawn") ? VMM_VMSPAWN
                                                : _VMM_KIND_INVALID;
}

VmmKind vmm_find(char *const *command, size_t *ret_index) {
        for (size_t i = 0; command[i]; i++) {
                VmmKind kind = kind_of_program(command[i]);
                if (kind >= 0) {
                        *ret_index = i;
                        return kind;
                }
        }
        return _VMM_KIND_INVALID;
}

/* The first word "--" that is not in double quotes, which group words for the kernel, or the text's end. */
static const char *find_end(const char *cmdline) {
        bool quoted = false, starts = true;

        for (const char *p = cmdline; *p; p++) {
                if (starts && !quoted && startswith(p, "--") && strchr(" \t\n", p[2]))
                        return p;
                if (*p == '"')
                        quoted = !quoted;
                starts = strchr(" \t\n", *p);
        }
        return cmdline + strlen(cmdline);
}

char *vmm_extend_cmdline(const char *cmdline, const char *words) {
        const char *rest;
        char *extended;
        int kernel;

        cmdline = cmdline ?: "";
        rest = find_end(cmdline);
        kernel = (int) (rest - cmdline);
        return asprintf(&extended, "%.*s%s%s%s%s", kernel, cmdline, kernel > 0 && !*rest ? " " : "", words,
                        *rest ? " " : "", rest) < 0
                       ? NULL
                       : extended;
}

void vmm_describe(Argv *args, VmmKind kind, const VmmRequest *request, const char *serial) {
        bool marker = request->marker != VMM_MARKER_NONE;

        switch (kind) {
        case VMM_CLOUD_HYPERVISOR:
                argv_add(args, "--disk");
                argv_addf(args, "path=/proc/self/fd/%i,image_type=raw,serial=" VMM_DISK_SERIAL,
                          request->image_fd);
                if (marker)
                        argv_add(args, "--platform", "oem_strings=[" VMM_CREDENTIAL "]");
                break;
        case VMM_CROSVM:
                argv_add(args, "--block");
                argv_addf(args, "path=/proc/self/fd/%i,id=" VMM_DISK_SERIAL, request->image_fd);
                if (marker)
                        argv_add(args, "-p", VMM_CMDLINE_OPTION);
                break;
        case VMM_VMSPAWN: /* the serial is the file's name, which is here the descriptor's number */
                argv_addf(args, "--extra-drive=/proc/self/fd/%i", request->image_fd);
                if (marker) {
                        argv_add(args, VMM_CMDLINE_OPTION);
                        argv_addf(args, "ccvm.serial=%i", request->image_fd);
                }
                break;
        default: /* Firecracker */
                argv_addf(args,
                          "{\"drive_id\":\"" VMM_DISK_SERIAL "\",\"path_on_host\":\"/proc/self/fd/%i\","
                          "\"is_root_device\":false,\"is_read_only\":false,\"cache_type\":\"Unsafe\"}",
                          request->image_fd);
                if (marker)
                        argv_addf(args, VMM_CMDLINE_OPTION " ccvm.serial=%s", serial);
        }
}
