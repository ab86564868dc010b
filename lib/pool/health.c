/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "health.h"

#include <libmount.h>
#include <sys/stat.h>

#include "fileio.h"
#include "integritystat.h"
#include "parse.h"

/* The depth of a disk below the mapping: dm-crypt, dm-integrity, and one to spare. */
#define DEPTH_MAX 3

DEFINE_TRIVIAL_CLEANUP_FUNC(struct libmnt_table *, mnt_unref_table)

static const char *const health_table[_HEALTH_MAX] = {
        [HEALTH_OK] = "ok",
        [HEALTH_ERRORS] = "errors",
        [HEALTH_READ_ONLY] = "read-only",
        [HEALTH_GONE] = "gone",
};

const char *health_to_string(Health h) {
        return health_table[h];
}

/* A file or directory of an object in sysfs, for the caller to free; NULL if out of memory. */
static char *make_path(const char *root, const char *class, const char *name, const char *file) {
        char *path = NULL;

        return asprintf(&path, "%s/sys/%s/%s/%s", root, class, name, file) < 0 ? NULL : path;
}

static DIR *open_directory(const char *root, const char *class, const char *name, const char *file) {
        _cleanup_free_ char *path = make_path(root, class, name, file);

        return path ? opendir(path) : NULL;
}

/* The text of a file, or NULL if there is none. The caller frees it. */
static char *read_attribute(const char *root, const char *class, const char *name, const char *file) {
        _cleanup_free_ char *path = make_path(root, class, name, file);
        char *text = NULL;

        return path && file_read(path, 64 * KIB, &text) >= 0 ? text : NULL;
}

/* The next entry but those that begin with a dot, or NULL. */
static const char *next_entry(DIR *d) {
        struct dirent *e;

        while (d && (e = readdir(d)))
                if (e->d_name[0] != '.')
                        return e->d_name;
        return NULL;
}

/* The kernel's name of the mapping, "dm-0", for the caller to free; NULL if there is none. Not by its node:
 * a service may have a /dev of its own. */
static char *find_mapping(const char *root, const char *mapper) {
        _cleanup_closedir_ DIR *d = open_directory(root, "block", "", "");
        const char *wanted = startswith(mapper, "/dev/mapper/"), *name;

        while (wanted && (name = next_entry(d))) {
                _cleanup_free_ char *text = NULL;
                if (!startswith(name, "dm-") || !(text = read_attribute(root, "block", name, "dm/name")))
                        continue;
                text[strcspn(text, "\n")] = 0;
                if (streq(text, wanted))
                        return strdup(name);
        }
        return NULL;
}

/* Whether block device "below" is there and is the one that "above" lies on: another one that has come in
 * its place has the name, and no such holder. */
static bool holds(const char *root, const char *above, const char *below) {
        _cleanup_free_ char *path = NULL;

        return asprintf(&path, "%s/sys/block/%s/slaves/%s/holders/%s", root, above, below, above) >= 0 &&
               access(path, F_OK) >= 0;
}

/* Whether all that the mapping lies on is there, down to the disk. */
static bool disk_is_there(const char *root, const char *name, int depth) {
        _cleanup_closedir_ DIR *d = open_directory(root, "block", name, "slaves");
        bool there = false;
        const char *below;

        while ((below = next_entry(d))) {
                if (!holds(root, name, below) ||
                    (startswith(below, "dm-") && (depth == 0 || !disk_is_there(root, below, depth - 1))))
                        return false;
                there = true;
        }
        return there;
}

/* Whether text has a number that is not zero. */
static bool has_count(const char *text) {
        return text && text[strcspn(text, "123456789")] != 0;
}

/* Failed writes of data are warnings of ext4, and whoever does not call fsync(2) does not hear of them. What
 * the host has taken and loses later is not among them: nobody hears of that. */
static bool ext4_has_errors(const char *root, const char *name) {
        _cleanup_free_ char *errors = read_attribute(root, "fs/ext4", name, "errors_count"),
                            *warnings = read_attribute(root, "fs/ext4", name, "warning_count");

        return has_count(errors) || has_count(warnings);
}

static bool btrfs_has_errors(const char *root, const char *name) {
        _cleanup_closedir_ DIR *d = open_directory(root, "fs", "btrfs", "");
        const char *uuid;

        while ((uuid = next_entry(d))) {
                _cleanup_free_ char *device = NULL, *counts = NULL;
                if (asprintf(&device, "%s/sys/fs/btrfs/%s/devices/%s", root, uuid, name) < 0 ||
                    access(device, F_OK) < 0)
                        continue;
                counts = read_attribute(root, "fs/btrfs", uuid, "devinfo/1/error_stats");
                /* "write_errs 0" and so on: no digit but in the counts. */
                return has_count(counts);
        }
        return false;
}

/* By the options of the file system itself: a service may have it read-only for itself. */
static Health read_mount(const char *root) {
        _cleanup_free_ char *path = NULL;
        _cleanup_(mnt_unref_tablep) struct libmnt_table *table = NULL;
        struct libmnt_fs *fs;
        const char *options;

        if (asprintf(&path, "%s/proc/self/mountinfo", root) < 0)
                return HEALTH_OK;
        table = mnt_new_table_from_file(path);
        fs = table ? mnt_table_find_target(table, POOL_DIRECTORY, MNT_ITER_BACKWARD) : NULL;
        options = fs ? mnt_fs_get_fs_options(fs) : NULL;
        if (!options)
                return HEALTH_OK;
        if (mnt_optstr_get_option(options, "shutdown", NULL, NULL) == 0)
                return HEALTH_GONE;
        return mnt_optstr_get_option(options, "ro", NULL, NULL) == 0 ||
                               mnt_optstr_get_option(options, "emergency_ro", NULL, NULL) == 0
                       ? HEALTH_READ_ONLY
                       : HEALTH_OK;
}

/* XFS shows it in no other way. */
static bool has_shut_down(const char *root) {
        _cleanup_free_ char *path = NULL;
        struct stat st;

        return asprintf(&path, "%s" POOL_DIRECTORY, root) >= 0 && stat(path, &st) < 0 && errno == EIO;
}

Health health_read(const char *root, const Status *s) {
        _cleanup_free_ char *name = NULL;
        Health h;

        if (s->state != STATE_ENCRYPTED)
                return HEALTH_OK;
        name = find_mapping(root, s->mapper ?: "");
        if (!name || !disk_is_there(root, name, DEPTH_MAX) || has_shut_down(root))
                return HEALTH_GONE;
        h = read_mount(root);
        if (h == HEALTH_OK &&
            (ext4_has_errors(root, name) || btrfs_has_errors(root, name) || integrity_has_errors(root)))
                h = HEALTH_ERRORS;
        return h;
}
