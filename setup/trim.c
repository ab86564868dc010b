/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "trim.h"

#include <inttypes.h>
#include <sys/statvfs.h>

#include "fileio.h"
#include "filesystem.h"
#include "log.h"

/* Writes how many blocks were free when the last pass began, and the byte that it has come to; 0 is the
 * end. */
static int write_note(uint64_t free_blocks, uint64_t position) {
        char text[64];

        snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64, free_blocks, position);
        return file_write_atomic(FREE_PATH, text, 0644);
}

static bool read_note(uint64_t *ret_free_blocks, uint64_t *ret_position) {
        _cleanup_fclose_ FILE *f = fopen(FREE_PATH, "re");

        return f && fscanf(f, "%" SCNu64 " %" SCNu64, ret_free_blocks, ret_position) == 2;
}

void trim_note_all(void) {
        struct statvfs v;

        if (statvfs(POOL_DIRECTORY, &v) >= 0)
                (void) write_note(v.f_bfree, 0);
}

void trim_pool(const Status *s) {
        const FileSystem *fs = s->state == STATE_ENCRYPTED ? filesystem_find(s->fs_type ?: "") : NULL;
        uint64_t free_blocks = 0, position = 0;
        struct statvfs v;
        int r;

        if (!fs || statvfs(POOL_DIRECTORY, &v) < 0)
                return;
        if (read_note(&free_blocks, &position) && position == 0 &&
            (!filesystem_trims(fs) || free_blocks == v.f_bfree))
                return;
        /* What is freed before the position meanwhile changes the number: then all is done again. */
        if (position == 0)
                free_blocks = v.f_bfree;
        r = filesystem_trim(POOL_DIRECTORY, &position);
        if (r >= 0)
                r = write_note(free_blocks, r > 0 ? 0 : position);
        if (r < 0)
                log_warning_errno(r, "Failed to give freed blocks back");
}
