/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "integritystat.h"

#include "fileio.h"
#include "parse.h"
#include "status.h"

/* Number field, from 0, of an attribute of the device; 0 if there is none. */
static uint64_t read_field(const char *root, const char *name, const char *attribute, unsigned field) {
        _cleanup_free_ char *path = NULL, *text = NULL;
        uint64_t n;
        char *p, *word;

        if (asprintf(&path, "%s/sys/block/%s/%s", root, name, attribute) < 0 ||
            file_read(path, KIB, &text) < 0)
                return 0;
        p = text;
        do
                do
                        word = strsep(&p, " \n");
                while (word && !*word);
        while (word && field-- > 0);
        return word && parse_unsigned(word, UINT64_MAX, &n) >= 0 ? n : 0;
}

/* The caller frees it; NULL if there is none. */
static char *read_name(const char *root) {
        _cleanup_free_ char *path = NULL;
        char *name = NULL;

        return asprintf(&path, "%s" TAGS_PATH, root) >= 0 && file_read(path, 32, &name) >= 0 ? name : NULL;
}

/* Documentation/admin-guide/blockdev/zram.rst has the fields. What is no zram has taken its whole size. */
uint64_t integrity_tag_bytes(const char *root) {
        _cleanup_free_ char *name = read_name(root);

        if (!name)
                return 0;
        return startswith(name, "zram") ? read_field(root, name, "mm_stat", 2)
                                        : read_field(root, name, "size", 0) * 512;
}

bool integrity_has_errors(const char *root) {
        _cleanup_free_ char *name = read_name(root), *path = NULL;

        return (name && read_field(root, name, "io_stat", 1) > 0) ||
               (asprintf(&path, "%s" MISMATCHES_PATH, root) >= 0 && access(path, F_OK) >= 0);
}

/* The words that x86 and Arm have for them; others are not known. */
bool integrity_is_slow(const char *root) {
        _cleanup_free_ char *path = NULL, *text = NULL;

        if (asprintf(&path, "%s/proc/cpuinfo", root) < 0 || file_read(path, MIB, &text) < 0)
                return false;
        return (strstr(text, "\nflags\t") && !strstr(text, " sha_ni")) ||
               (strstr(text, "\nFeatures\t") && !strstr(text, " sha2"));
}
