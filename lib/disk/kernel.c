/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel.h"

#include "fileio.h"
#include "mapping.h"
#include "parse.h"

bool kernel_lists_file_system(const char *text, const char *name) {
        size_t n = strlen(name);

        /* "nodev\ttmpfs\n\text4\n" */
        for (const char *p = text; (p = strchr(p, '\t')); p++)
                if (startswith(p + 1, name) && p[1 + n] == '\n')
                        return true;
        return false;
}

/* The kernel has looked for it when it was to be mounted. */
static bool has_file_system(const char *name) {
        _cleanup_free_ char *text = NULL;

        return file_read("/proc/filesystems", 64 * KIB, &text) < 0 || kernel_lists_file_system(text, name);
}

static const char *find_missing(const char *file_system, bool integrity, const Status *s) {
        switch (s->reason) {
        case REASON_FORMAT:
        case REASON_ACTIVATE:
        case REASON_VERIFY:
                if (!mapping_is_possible())
                        return "dm_mod";
                if (integrity && !mapping_has_target("integrity"))
                        return "dm_integrity";
                return mapping_has_target("crypt") ? NULL : "dm_crypt";
        case REASON_MOUNT:
                return has_file_system(file_system) ? NULL : file_system;
        default:
                return NULL;
        }
}

void kernel_explain(const char *file_system, bool integrity, Status *s) {
        _cleanup_free_ char *before = s->detail ? strdup(s->detail) : NULL;
        const char *module = find_missing(file_system, integrity, s);

        if (module)
                (void) status_fail(s, REASON_KERNEL, 0, "The kernel has no %s: %s", module,
                                   before ?: "no detail");
}
