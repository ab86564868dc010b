/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "integritystat.h"

#include "fileio.h"
#include "parse.h"
#include "status.h"

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

bool integrity_has_errors(const char *root) {
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
