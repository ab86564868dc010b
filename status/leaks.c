/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "leaks.h"

#include <glob.h>
#include <libmount.h>
#include <sys/sysmacros.h>

#include "fileio.h"
#include "parse.h"
#include "status.h"

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

/* The directory in /sys of a mapping, "/dev/mapper/NAME", for the caller to free; NULL if there is none. */
static char *find_mapping(const char *root, const char *name) {
        _cleanup_free_ char *pattern = NULL;
        char *device = NULL;
        glob_t found;

        if (asprintf(&pattern, "%s/sys/class/block/dm-*", root) < 0 ||
            glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
                return NULL;
        for (size_t i = 0; i < found.gl_pathc && !device; i++) {
                const char *path = found.gl_pathv[i] + strlen(root);
                _cleanup_free_ char *file = NULL, *text = NULL;

                if (asprintf(&file, "%s/dm/name", path) < 0 || !(text = read_below(root, file, KIB)))
                        continue;
                text[strcspn(text, "\n")] = 0;
                device = streq(text, name) ? strdup(path) : NULL;
        }
        globfree(&found);
        return device;
}

/* The directory in /sys of a node, for the caller to free. */
static char *find_device(const char *root, const char *node) {
        const char *mapping = startswith(node, "/dev/mapper/"), *name = startswith(node, "/dev/");
        char *device = NULL;

        if (mapping)
                return find_mapping(root, mapping);
        return name && asprintf(&device, "/sys/class/block/%s", name) >= 0 ? device : NULL;
}

DEFINE_TRIVIAL_CLEANUP_FUNC(struct libmnt_table *, mnt_unref_table)

/* NULL if it cannot be read. */
static struct libmnt_table *read_mounts(const char *root) {
        _cleanup_free_ char *path = NULL;

        return asprintf(&path, "%s/proc/self/mountinfo", root) < 0 ? NULL : mnt_new_table_from_file(path);
}

/* What a file is on, by the text of the table: the file may be gone, and is in use all the same. */
static struct libmnt_fs *find_mount(struct libmnt_table *table, const char *file) {
        _cleanup_free_ char *path = strdup(file);
        struct libmnt_fs *fs = NULL;

        for (char *slash; path && !fs && (slash = strrchr(path, '/'));) {
                slash[slash == path] = 0; /* "/" at last */
                fs = mnt_table_find_target(table, path, MNT_ITER_BACKWARD);
                *slash = 0;
        }
        return fs;
}

/* That of the device below a file. By the mount table's number; btrfs has one of its own, and then by the
 * device that it was mounted from, which for a swap file is the only one. */
static char *find_device_below(const char *root, const char *file) {
        _cleanup_(mnt_unref_tablep) struct libmnt_table *table = read_mounts(root);
        struct libmnt_fs *fs = table ? find_mount(table, file) : NULL;
        char *device = NULL;

        if (!fs)
                return NULL;
        dev_t number = mnt_fs_get_devno(fs);
        if (major(number) == 0)
                return find_device(root, mnt_fs_get_source(fs) ?: "");
        return asprintf(&device, "/sys/dev/block/%u:%u", major(number), minor(number)) < 0 ? NULL : device;
}

/* Whether what is written to the device gets to a disk in the clear; NULL: to one that nobody knows. zram is
 * in RAM, but for what it writes back to its backing device. */
static bool device_is_clear(const char *root, const char *device) {
        const char *zram = device ? startswith(device, "/sys/class/block/zram") : NULL;
        _cleanup_free_ char *path = NULL, *backing = NULL, *below = NULL;

        if (!device)
                return true;
        if (!zram)
                return !is_encrypted(root, device, 0);
        if (asprintf(&path, "%s/backing_dev", device) < 0)
                return true;
        backing = read_below(root, path, KIB);
        if (!backing || !startswith(backing, "/"))
                return false;
        backing[strcspn(backing, "\n")] = 0;
        below = find_device(root, backing);
        return !below || !is_encrypted(root, below, 0);
}

/* One of /proc/swaps: "/dev/vda2", or a file. */
static bool swap_is_clear(const char *root, const char *path) {
        _cleanup_free_ char *device =
                startswith(path, "/dev/") ? find_device(root, path) : find_device_below(root, path);

        return device_is_clear(root, device);
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

/* Whether the pool is in RAM that the kernel may swap. */
static bool pool_is_swappable(const char *root) {
        _cleanup_(mnt_unref_tablep) struct libmnt_table *table = read_mounts(root);
        struct libmnt_fs *fs =
                table ? mnt_table_find_target(table, POOL_DIRECTORY, MNT_ITER_BACKWARD) : NULL;

        return fs && streq(mnt_fs_get_fstype(fs) ?: "", "tmpfs") &&
               mnt_fs_get_option(fs, "noswap", NULL, NULL) != 0;
}

const char *leaks_find_pool(const char *root) {
        return pool_is_swappable(root) && swap_is_configured(root)
                       ? "swap is not encrypted, and what is in the pool gets there: this kernel cannot keep "
                         "a tmpfs from it (/proc/swaps)"
                       : NULL;
}
