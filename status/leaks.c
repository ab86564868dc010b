/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "leaks.h"

#include <glob.h>
#include <libmount.h>

#include "fileio.h"
#include "status.h"
#include "swap.h"

DEFINE_TRIVIAL_CLEANUP_FUNC(struct libmnt_table *, mnt_unref_table)

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

/* Whether the pool is in RAM that the kernel may swap out. */
static bool pool_is_swappable(const char *root) {
        _cleanup_(mnt_unref_tablep) struct libmnt_table *table = NULL;
        _cleanup_free_ char *path = NULL;
        struct libmnt_fs *fs;

        if (asprintf(&path, "%s/proc/self/mountinfo", root) < 0)
                return false;
        table = mnt_new_table_from_file(path);
        fs = table ? mnt_table_find_target(table, POOL_DIRECTORY, MNT_ITER_BACKWARD) : NULL;
        return fs && streq(mnt_fs_get_fstype(fs) ?: "", "tmpfs") &&
               mnt_fs_get_option(fs, "noswap", NULL, NULL) != 0;
}

const char *leaks_find_pool(const char *root) {
        if (!pool_is_swappable(root) || !swap_is_clear(root))
                return NULL;
        return "swap is not encrypted, and what is in the pool gets there: this kernel cannot keep a tmpfs "
               "from it (/proc/swaps)";
}

/* A device that the driver has taken, as ccvm-scratch-clone.service looks for it. */
static bool has_generation_id(const char *root, const char *bus) {
        _cleanup_free_ char *pattern = NULL;
        glob_t found = {};
        bool has = asprintf(&pattern, "%s/sys/bus/%s/drivers/vmgenid/*[.:]*", root, bus) >= 0 &&
                   glob(pattern, GLOB_NOSORT, NULL, &found) == 0;

        globfree(&found);
        return has;
}

const char *leaks_find_clone(const char *root) {
        if (has_generation_id(root, "acpi") || has_generation_id(root, "platform"))
                return NULL;
        return "no clone is noticed, whatever OnClone= says: the hypervisor gives no generation ID, or the "
               "kernel has no driver for it (CONFIG_VMGENID)";
}
