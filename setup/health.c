/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* health, of ccvm-scratch-health.service: tells when the disk does not work any more, and gives what was
 * freed back to the host.
 *
 * When: in the running system, by its timer. It must never wait for another verb, or work without a
 * bound. */

#include "verbs.h"

#include <inttypes.h>
#include <sys/statvfs.h>

#include "announce.h"
#include "discard.h"
#include "fileio.h"
#include "filesystem.h"
#include "integrity.h"
#include "log.h"
#include "record.h"

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

/* Discards what is free in the pool of s: all of it once, as the disk may have been too slow for that
 * before it was formatted; and where the file system does not do so by itself, again whenever the number of
 * free blocks is another one. In bounded time: the next call goes on where this one has come to. */
static void trim(const Status *s) {
        const FileSystem *fs = s->state == STATE_ENCRYPTED ? filesystem_find(s->fs_type ?: "") : NULL;
        uint64_t free_blocks = 0, position = 0;
        struct statvfs v;
        int r;

        if (!fs || statvfs(POOL_DIRECTORY, &v) < 0)
                return;
        if (read_note(&free_blocks, &position) && position == 0 && (!fs->trims || free_blocks == v.f_bfree))
                return;
        /* What is freed before the position meanwhile changes the number: then all is done again. */
        if (position == 0)
                free_blocks = v.f_bfree;
        r = discard_free(POOL_DIRECTORY, &position);
        if (r >= 0)
                r = write_note(free_blocks, r > 0 ? 0 : position);
        if (r < 0)
                log_warning_errno(r, "Failed to give freed blocks back");
}

int verb_health(const Config *c) {
        _cleanup_(status_done) Status s = {};
        Health h;
        int r;

        r = record_read(&s);
        if (r <= 0)
                return r;
        integrity_check();
        h = health_read("", &s);
        r = announce_health(&s, h);
        if (h == HEALTH_OK)
                trim(&s);
        return r;
}
