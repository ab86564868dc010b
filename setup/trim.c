/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "trim.h"

#include <inttypes.h>
#include <sys/statvfs.h>

#include "discard.h"
#include "fileio.h"
#include "filesystem.h"
#include "log.h"
#include "parse.h"

/* The file has how many blocks were free when it was begun, and behind a blank, where that was not finished,
 * how far it has come. */
static int write_note(uint64_t free_blocks, uint64_t position) {
        _cleanup_free_ char *text = NULL;

        if (asprintf(&text, position > 0 ? "%" PRIu64 " %" PRIu64 : "%" PRIu64, free_blocks, position) < 0)
                return -ENOMEM;
        return file_write_atomic(FREE_PATH, text, 0644);
}

/* -ENOENT if there is none. */
static int read_note(uint64_t *ret_free_blocks, uint64_t *ret_position) {
        _cleanup_free_ char *text = NULL;
        char *position;
        int r;

        r = file_read(FREE_PATH, KIB, &text);
        if (r < 0)
                return r;
        position = strchr(text, ' ');
        if (position)
                *position++ = 0;
        *ret_position = 0;
        r = parse_unsigned(text, UINT64_MAX, ret_free_blocks);
        return r < 0 || !position ? r : parse_unsigned(position, UINT64_MAX, ret_position);
}

void trim_note_all(void) {
        struct statvfs v;

        if (statvfs(POOL_DIRECTORY, &v) >= 0)
                (void) write_note(v.f_bfree, 0);
}

int trim_some(const Status *s) {
        const FileSystem *fs = s->state == STATE_ENCRYPTED ? filesystem_find(s->fs_type ?: "") : NULL;
        uint64_t free_blocks = 0, position = 0;
        struct statvfs v;
        int r;

        if (!fs || statvfs(POOL_DIRECTORY, &v) < 0)
                return 0;
        r = read_note(&free_blocks, &position);
        if (r >= 0 && position == 0 && (!filesystem_trims(fs) || free_blocks == v.f_bfree))
                return 0;
        /* What is freed meanwhile before that place changes the number: then all is done again. */
        if (position == 0)
                free_blocks = v.f_bfree;
        r = discard_free(POOL_DIRECTORY, &position);
        if (r >= 0)
                r = write_note(free_blocks, r > 0 ? 0 : position);
        return r < 0 ? log_warning_errno(r, "Failed to give freed blocks back") : 0;
}
