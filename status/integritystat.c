/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "integritystat.h"

#include "fileio.h"
#include "parse.h"
#include "status.h"

/* Number field, from 0, of an attribute of the device; 0 if there is none. */
static uint64_t read_field(const char *root, const char *attribute, unsigned field) {
        _cleanup_free_ char *noted = NULL, *number = NULL, *path = NULL, *text = NULL;
        uint64_t n;
        char *p, *word;

        if (asprintf(&noted, "%s" TAGS_PATH, root) < 0 || file_read(noted, 32, &number) < 0 ||
            parse_unsigned(number, UINT32_MAX, &n) < 0 ||
            asprintf(&path, "%s/sys/block/zram%s/%s", root, number, attribute) < 0 ||
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

/* Documentation/admin-guide/blockdev/zram.rst has the fields. */
uint64_t integrity_tag_bytes(const char *root) {
        return read_field(root, "mm_stat", 2);
}

bool integrity_has_errors(const char *root) {
        _cleanup_free_ char *path = NULL;

        return read_field(root, "io_stat", 1) > 0 ||
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
