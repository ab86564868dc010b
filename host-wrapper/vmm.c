/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "vmm.h"

static int find_string(const char *s, const char *const *list, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (streq(s, list[i]))
                        return (int) i;
        return -EINVAL;
}

VmmKind vmm_kind_from_string(const char *s) {
        static const char *const names[] = {
                [VMM_QEMU] = "qemu",
                [VMM_CLOUD_HYPERVISOR] = "cloud-hypervisor",
                [VMM_CROSVM] = "crosvm",
                [VMM_FIRECRACKER] = "firecracker",
        };

        return (VmmKind) find_string(s, names, ELEMENTSOF(names));
}

VmmMarker vmm_marker_from_string(const char *s) {
        static const char *const names[] = {
                [VMM_MARKER_AUTO] = "auto",
                [VMM_MARKER_APPEND] = "append",
                [VMM_MARKER_CREDENTIAL] = "credential",
                [VMM_MARKER_NONE] = "none",
        };

        return (VmmMarker) find_string(s, names, ELEMENTSOF(names));
}

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
        return streq(name, "crosvm")        ? VMM_CROSVM
               : streq(name, "firecracker") ? VMM_FIRECRACKER
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

int vmm_extend_cmdline(const char *cmdline, const char *words, char **ret) {
        const char *rest;
        int kernel, r;

        if (!cmdline)
                cmdline = "";
        rest = find_end(cmdline);
        kernel = (int) (rest - cmdline);
        r = asprintf(ret, "%.*s%s%s%s%s", kernel, cmdline, kernel > 0 && !*rest ? " " : "", words,
                     *rest ? " " : "", rest);
        return r < 0 ? -ENOMEM : 0;
}

static int describe_cloud_hypervisor(Argv *args, const VmmRequest *request) {
        int r = argv_add(args, "--disk");

        if (r >= 0)
                r = argv_addf(args, "path=/proc/self/fd/%i,image_type=raw,serial=" VMM_DISK_SERIAL,
                              request->image_fd);
        if (r >= 0 && request->marker != VMM_MARKER_NONE)
                r = argv_add(args, "--platform", "oem_strings=[" VMM_CREDENTIAL "]");
        return r;
}

static int describe_crosvm(Argv *args, const VmmRequest *request) {
        int r = argv_add(args, "--block");

        if (r >= 0)
                r = argv_addf(args, "path=/proc/self/fd/%i,id=" VMM_DISK_SERIAL, request->image_fd);
        if (r >= 0 && request->marker != VMM_MARKER_NONE)
                r = argv_add(args, "-p", VMM_CMDLINE_OPTION);
        return r;
}

static int describe_firecracker(Argv *args, const VmmRequest *request, const char *serial) {
        int r;

        r = argv_addf(args,
                      "{\"drive_id\":\"" VMM_DISK_SERIAL "\",\"path_on_host\":\"/proc/self/fd/%i\","
                      "\"is_root_device\":false,\"is_read_only\":false,\"cache_type\":\"Unsafe\"}",
                      request->image_fd);
        if (r >= 0 && request->marker != VMM_MARKER_NONE)
                r = argv_addf(args, VMM_CMDLINE_OPTION " ccvm.serial=%s", serial);
        return r;
}

int vmm_describe(Argv *args, VmmKind kind, const VmmRequest *request, const char *serial) {
        return kind == VMM_CLOUD_HYPERVISOR ? describe_cloud_hypervisor(args, request)
               : kind == VMM_CROSVM         ? describe_crosvm(args, request)
                                            : describe_firecracker(args, request, serial);
}
