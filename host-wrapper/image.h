/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The image: a sparse file of mode 0600 that exists as an open descriptor and nowhere else.
 *
 * Used on the host, before QEMU starts. */

#include <stdint.h>

#include "macro.h"

/* Strings are borrowed. */
typedef struct ImageRequest {
        const char *dir;    /* where a nameless image goes */
        unsigned make_dirs; /* how many of its last components are made, mode 0700, if they are missing */
        const char *file;   /* a new file that is the image and stays; NULL: nameless */
        uint64_t size;      /* bytes */
        bool allow_ram;
        bool dry_run; /* nothing stays: neither directories nor the file */
} ImageRequest;

/* Returns a descriptor that QEMU inherits, or -errno, logged. Refuses (-EROFS) what is kept in RAM, (-EFBIG)
 * more than RLIMIT_FSIZE, and (-ENOSPC) less than 64 MiB of free space. The directory is locked, too,
 * and so open, as long as QEMU runs. */
int image_make(const ImageRequest *request);
