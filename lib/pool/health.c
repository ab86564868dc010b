/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "health.h"

#include <glob.h>
#include <sys/stat.h>

#include "blockstack.h"
#include "fileio.h"
#include "mounted.h"
#include "parse.h"

static const char *const health_table[_HEALTH_MAX] = {
        [HEALTH_OK] = "ok",
        [HEALTH_ERRORS] = "errors",
        [HEALTH_READ_ONLY] = "read-only",
        [HEALTH_GONE] = "gone",
};

const char *health_to_string(Health h) {
        return health_table[h];
}

/* Refuses a device that is gone, and a mapping that lies on nothing, as after a wipe. */
static int visit(const BlockDevice *d, void *userdata) {
        return !d->directory || (d->lowest && startswith(d->name, "dm-")) ? -ENODEV : 0;
}

/* Tells whether text has a number that is not zero. */
static bool has_count(const char *text) {
        return text && text[strcspn(text, "123456789")] != 0;
}

/* Asks ext4, for which failed writes of data are warnings: a program that does not call fsync(2) does not
 * hear of them. What the host has taken and loses later is not among them: nobody hears of that. */
static bool ext4_has_errors(const char *root, const char *name) {
        _cleanup_free_ char *errors = attribute_read("%s/sys/fs/ext4/%s/errors_count", root, name),
                            *warnings = attribute_read("%s/sys/fs/ext4/%s/warning_count", root, name);

        return has_count(errors) || has_count(warnings);
}

static bool btrfs_has_errors(const char *root, const char *name) {
        _cleanup_free_ char *pattern = NULL, *counts = NULL;
        _cleanup_(globfree) glob_t found = {};

        if (asprintf(&pattern, "%s/sys/fs/btrfs/*/devices/%s", root, name) < 0 ||
            glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
                return false;
        *strrchr(found.gl_pathv[0], '/') = 0;
        counts = attribute_read("%s/../devinfo/1/error_stats", found.gl_pathv[0]);
        /* "write_errs 0" and so on: no digit but in the counts. */
        return has_count(counts);
}

/* Reads the options of the file system itself: a service may have it read-only for itself. */
static Health read_mount(const char *root) {
        _cleanup_table_ struct libmnt_table *table = NULL;
        _cleanup_free_ char *path = NULL;
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
        if (mnt_optstr_get_option(options, "ro", NULL, NULL) == 0 ||
            mnt_optstr_get_option(options, "emergency_ro", NULL, NULL) == 0)
                return HEALTH_READ_ONLY;
        return HEALTH_OK;
}

/* Asks XFS, which shows in no other way that it has shut down. */
static bool has_shut_down(const char *root) {
        _cleanup_free_ char *path = NULL;
        struct stat st;

        return asprintf(&path, "%s" POOL_DIRECTORY, root) >= 0 && stat(path, &st) < 0 && errno == EIO;
}

/* Reads the number in field, from 0, of an attribute of the block device name; 0 if there is none. */
static uint64_t read_field(const char *root, const char *name, const char *attribute, unsigned field) {
        _cleanup_free_ char *text = attribute_read("%s/sys/block/%s/%s", root, name, attribute);
        char *save, *word = text ? strtok_r(text, " ", &save) : NULL;
        uint64_t n;

        while (word && field-- > 0)
                word = strtok_r(NULL, " ", &save);
        return word && parse_unsigned(word, UINT64_MAX, &n) >= 0 ? n : 0;
}

/* Documentation/admin-guide/blockdev/zram.rst has the fields. What is no zram has taken its whole size. */
uint64_t integrity_tag_bytes(const char *root) {
        _cleanup_free_ char *name = attribute_read("%s" TAGS_PATH, root);

        if (!name)
                return 0;
        return startswith(name, "zram") ? read_field(root, name, "mm_stat", 2)
                                        : read_field(root, name, "size", 0) * 512;
}

/* Tells whether a tag could not be kept, as there was no RAM for it, so that what was written with it cannot
 * be read; or whether ccvm-scratch-health.service has seen that a sector did not match. */
static bool integrity_has_errors(const char *root) {
        _cleanup_free_ char *name = attribute_read("%s" TAGS_PATH, root), *path = NULL;

        return (name && read_field(root, name, "io_stat", 1) > 0) ||
               (asprintf(&path, "%s" MISMATCHES_PATH, root) >= 0 && access(path, F_OK) >= 0);
}

/* Looks for the words that x86 and Arm have for them; of others it is not known. */
bool integrity_is_slow(const char *root) {
        _cleanup_free_ char *text = attribute_read("%s/proc/cpuinfo", root);

        return text && ((strstr(text, "\nflags\t") && !strstr(text, " sha_ni")) ||
                        (strstr(text, "\nFeatures\t") && !strstr(text, " sha2")));
}

Health health_read(const char *root, const Status *s) {
        _cleanup_free_ char *mapping = NULL;
        const char *name;
        Health h;

        if (s->state != STATE_ENCRYPTED)
                return HEALTH_OK;
        mapping = blockstack_find(root, s->mapper ?: "");
        if (!mapping || blockstack_walk(mapping, visit, NULL) < 0 || has_shut_down(root))
                return HEALTH_GONE;
        h = read_mount(root);
        if (h != HEALTH_OK)
                return h;
        name = strrchr(mapping, '/') + 1;
        return ext4_has_errors(root, name) || btrfs_has_errors(root, name) || integrity_has_errors(root)
                       ? HEALTH_ERRORS
                       : HEALTH_OK;
}
