/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "vmm.h"

VmmKind vmm_kind_from_string(const char *s) {
        if (streq(s, "qemu"))
                return VMM_QEMU;
        if (streq(s, "cloud-hypervisor"))
                return VMM_CLOUD_HYPERVISOR;
        return _VMM_KIND_INVALID;
}

VmmKind vmm_kind_of_program(const char *program) {
        const char *slash = strrchr(program, '/');

        return startswith(slash ? slash + 1 : program, "cloud-hypervisor") ? VMM_CLOUD_HYPERVISOR : VMM_QEMU;
}

VmmMarker vmm_marker_from_string(const char *s) {
        static const char *const names[] = {
                [VMM_MARKER_AUTO] = "auto",
                [VMM_MARKER_APPEND] = "append",
                [VMM_MARKER_CREDENTIAL] = "credential",
                [VMM_MARKER_NONE] = "none",
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(s, names[i]))
                        return (VmmMarker) i;
        return _VMM_MARKER_INVALID;
}

/* The first blank-separated word that is exactly word, or NULL. */
static const char *find_word(const char *cmdline, const char *word) {
        static const char blanks[] = " \t\n";

        for (const char *p = cmdline + strspn(cmdline, blanks); *p; p += strspn(p, blanks)) {
                size_t n = strcspn(p, blanks);

                if (n == strlen(word) && strncmp(p, word, n) == 0)
                        return p;
                p += n;
        }
        return NULL;
}

int vmm_extend_cmdline(const char *cmdline, char **ret) {
        const char *rest;
        size_t kernel;
        int r;

        if (!cmdline)
                cmdline = "";
        rest = find_word(cmdline, "--");
        kernel = rest ? (size_t) (rest - cmdline) : strlen(cmdline);
        if (find_word(cmdline, VMM_CMDLINE_OPTION))
                r = asprintf(ret, "%s", cmdline);
        else
                r = asprintf(ret, "%.*s%s" VMM_CMDLINE_OPTION "%s%s", (int) kernel, cmdline,
                             kernel > 0 && !rest ? " " : "", rest ? " " : "", rest ?: "");
        return r < 0 ? -ENOMEM : 0;
}
