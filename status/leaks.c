/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "leaks.h"

#include "fileio.h"
#include "swap.h"

/* The device that the kernel would resume from (Documentation/power/swsusp.rst); set by resume= or later. */
static bool hibernation_is_configured(const char *root) {
        _cleanup_free_ char *text = attribute_read("%s/sys/power/resume", root);

        return !isempty(text) && !startswith(text, "0:0");
}

static bool kdump_is_configured(const char *root) {
        _cleanup_free_ char *text = attribute_read("%s/sys/kernel/kexec_crash_loaded", root);

        return text && startswith(text, "1");
}

static bool swap_is_clear(const char *root) {
        _cleanup_free_ char *path = swap_find_clear(root);

        return path;
}

size_t leaks_find(const char *root, const char *ret[static LEAKS_MAX]) {
        size_t n = 0;

        if (hibernation_is_configured(root))
                ret[n++] =
                        "hibernation is configured, and would write the key to a disk (/sys/power/resume)";
        if (kdump_is_configured(root))
                ret[n++] = "kdump is configured, and after a crash would write the key to a disk "
                           "(/sys/kernel/kexec_crash_loaded)";
        if (swap_is_clear(root))
                ret[n++] =
                        "swap is not encrypted, and what programs have in memory gets there (/proc/swaps)";
        return n;
}
