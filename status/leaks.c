/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "leaks.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fileio.h"
#include "parse.h"

#define SWAPS_MAX (64 * KIB)

static char *read_below(const char *root, const char *path, size_t max) {
        _cleanup_free_ char *full = NULL;
        char *text = NULL;

        if (asprintf(&full, "%s%s", root, path) < 0 || file_read(full, max, &text) < 0)
                return NULL;
        return text;
}

/* The device that the kernel would resume from (Documentation/power/swsusp.rst); set by resume= or later. */
static bool hibernation_is_configured(const char *root) {
        _cleanup_free_ char *text = read_below(root, "/sys/power/resume", KIB);

        return text && text[0] && !startswith(text, "0:0");
}

static bool kdump_is_configured(const char *root) {
        _cleanup_free_ char *text = read_below(root, "/sys/kernel/kexec_crash_loaded", KIB);

        return text && startswith(text, "1");
}

/* A dm-crypt mapping by the kernel's name of the block device: "dm-0", or "253:0" in /sys/dev/block. */
static bool is_encrypted(const char *root, const char *class, const char *name) {
        _cleanup_free_ char *path = NULL, *uuid = NULL;

        if (asprintf(&path, "/sys/%s/%s/dm/uuid", class, name) < 0)
                return false;
        uuid = read_below(root, path, KIB);
        return uuid && startswith(uuid, "CRYPT-");
}

/* One of /proc/swaps: "/dev/vda2", or a file. zram is in RAM. */
static bool swap_is_clear(const char *root, const char *path) {
        const char *name = startswith(path, "/dev/");
        char number[32];
        struct stat st;

        if (name)
                return !startswith(name, "zram") && !is_encrypted(root, "class/block", name);
        if (stat(path, &st) < 0)
                return true;
        snprintf(number, sizeof(number), "%u:%u", major(st.st_dev), minor(st.st_dev));
        return !is_encrypted(root, "dev/block", number);
}

static bool swap_is_configured(const char *root) {
        _cleanup_free_ char *text = read_below(root, "/proc/swaps", SWAPS_MAX);
        char *save, *line = text ? strtok_r(text, "\n", &save) : NULL;

        /* After the head. */
        while (line && (line = strtok_r(NULL, "\n", &save))) {
                line[strcspn(line, " \t")] = 0;
                if (swap_is_clear(root, line))
                        return true;
        }
        return false;
}

size_t leaks_find(const char *root, const char *ret[static LEAKS_MAX]) {
        size_t n = 0;

        if (hibernation_is_configured(root))
                ret[n++] =
                        "hibernation is configured, and would write the key to a disk (/sys/power/resume)";
        if (kdump_is_configured(root))
                ret[n++] = "kdump is configured, and after a crash would write the key to a disk "
                           "(/sys/kernel/kexec_crash_loaded)";
        if (swap_is_configured(root))
                ret[n++] =
                        "swap is not encrypted, and what programs have in memory gets there (/proc/swaps)";
        return n;
}
