/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The device-mapper table of a mapping, read back from the kernel: what really is in force, whatever was
 * asked for and whatever a header says. */

#include <stdint.h>
#include <sys/types.h>

#include "macro.h"

/* One crypt target (Documentation/admin-guide/device-mapper/dm-crypt.rst). Sectors are of 512 bytes. */
typedef struct CryptTable {
        uint64_t start;       /* first sector of the mapping that the target covers */
        uint64_t length;      /* sectors */
        char cipher[64];      /* "aes-xts-plain64" */
        uint32_t key_size;    /* bits; never the key */
        uint64_t iv_offset;   /* sectors */
        dev_t device;         /* the disk below */
        uint64_t offset;      /* sectors into the disk */
        uint32_t sector_size; /* bytes, of the encryption */
        bool allow_discards;
} CryptTable;

/* Parses the parameters of a crypt target; start and length stay 0. -EINVAL if it is no such text, or has an
 * option that this project never asks for. */
int table_parse(const char *params, CryptTable *ret);

/* Reads the live table of the mapping name. -EINVAL if it is anything but one crypt target that
 * table_parse() takes; -ENODEV if there is no such mapping; -EIO if the kernel does not answer. */
int table_read(const char *name, CryptTable *ret);

/* The name of the first property in which two tables differ, a constant; NULL if they are the same. */
const char *table_difference(const CryptTable *a, const CryptTable *b);
