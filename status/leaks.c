/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "leaks.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fileio.h"
#include "parse.h"

#define SWAPS_MAX (64 * KIB)
/* Of mappings on mappings. */
#define DEPTH_MAX 8

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

/* libcryptsetup also makes mappings that only notice changes. */
static bool uuid_is_of_cipher(const char *uuid) {
        return startswith(uuid, "CRYPT-") && !startswith(uuid, "CRYPT-INTEGRITY") &&
               !startswith(uuid, "CRYPT-VERITY");
}

static bool is_encrypted(const char *root, const char *device, unsigned depth);

/* A volume of LVM is, if all that it lies on is. */
static bool slaves_are_encrypted(const char *root, const char *device, unsigned depth) {
        _cleanup_free_ char *path = NULL;
        bool encrypted = false;
        struct dirent *entry;

        if (depth > DEPTH_MAX || asprintf(&path, "%s%s/slaves", root, device) < 0)
                return false;
        DIR *d = opendir(path);
        while (d && (entry = readdir(d))) {
                _cleanup_free_ char *slave = NULL;

                if (entry->d_name[0] == '.')
                        continue;
                encrypted = asprintf(&slave, "/sys/class/block/%s", entry->d_name) >= 0 &&
                            is_encrypted(root, slave, depth);
                if (!encrypted)
                        break;
        }
        if (d)
                closedir(d);
        return encrypted;
}

/* device: its directory in /sys. */
static bool is_encrypted(const char *root, const char *device, unsigned depth) {
        _cleanup_free_ char *path = NULL, *uuid = NULL;

        if (asprintf(&path, "%s/dm/uuid", device) < 0)
                return false;
        uuid = read_below(root, path, KIB);
        return (uuid && uuid_is_of_cipher(uuid)) || slaves_are_encrypted(root, device, depth + 1);
}

/* One of /proc/swaps: "/dev/vda2", or a file. zram is in RAM. */
static bool swap_is_clear(const char *root, const char *path) {
        _cleanup_free_ char *device = NULL;
        const char *name = startswith(path, "/dev/");
        struct stat st;
        int r;

        if (name && startswith(name, "zram"))
                return false;
        if (name)
                r = asprintf(&device, "/sys/class/block/%s", name);
        else if (stat(path, &st) < 0)
                return true;
        else
                r = asprintf(&device, "/sys/dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
        return r < 0 || !is_encrypted(root, device, 0);
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
