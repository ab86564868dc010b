/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The image: a sparse file that exists as an open descriptor and nowhere else.
 *
 * All functions log what went wrong, with the directory's or file's name as the user gave it. They refuse
 * (-EROFS) what is kept in RAM, and (-ENOSPC) less than IMAGE_FREE_MIN of free space; an image is of mode
 * 0600, and all of it a hole. The descriptors are O_CLOEXEC, or -errno. */

#include <stdint.h>

#include "macro.h"

/* Less free space than this, in bytes, and the guest could not even make its file system. */
#define IMAGE_FREE_MIN (UINT64_C(64) * 1024 * 1024)

typedef struct ImageRequest {
        const char *dir;  /* where a nameless image goes */
        bool make_dir;    /* it and its parents are made if need be, mode 0700 */
        const char *file; /* for an image that has a name and keeps it; NULL: nameless */
        uint64_t size;    /* bytes */
        bool allow_ram;
} ImageRequest;

/* Makes the image, and returns its descriptor. A file that is there already is taken only if it is what an
 * earlier run with the same size has left: regular, the caller's own, of exactly that size, and under one
 * name. It is locked against a second run (flock(2)) for as long as anybody has it open. */
int image_open(const ImageRequest *request);

/* Checks what can be checked and makes nothing. Returns a descriptor of the number that the image would
 * have. */
int image_pretend(const ImageRequest *request);

/* Makes an image of an empty regular file that somebody else has open for reading and writing. 0 or -errno.
 */
int image_adopt(const ImageRequest *request, int fd);
