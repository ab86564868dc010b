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

/* One integrity target (dm-integrity.rst) that hashes by itself. Sectors are of 512 bytes. */
typedef struct IntegrityTable {
        dev_t number;         /* of the mapping itself */
        uint64_t start;       /* first sector of the mapping that the target covers */
        uint64_t length;      /* sectors */
        dev_t device;         /* the disk below */
        uint64_t offset;      /* sectors into the disk */
        uint32_t tag_size;    /* bytes a sector of sector_size */
        char mode;            /* 'D': direct writes, without a journal */
        dev_t meta_device;    /* where the tags are; 0: on the disk */
        uint32_t sector_size; /* bytes */
        char hash[32];        /* "hmac(sha256)" */
        uint32_t key_size;    /* bits; never the key */
        bool allow_discards;
} IntegrityTable;

/* Parses the parameters of a crypt target; start and length stay 0. -EINVAL if it is no such text, or has an
 * option that this project never asks for. */
int table_parse(const char *params, CryptTable *ret);

/* Reads the live table of the mapping name. -EINVAL if it is anything but one crypt target that
 * table_parse() takes; -ENODEV if there is no such mapping; -EIO if the kernel does not answer. */
int table_read(const char *name, CryptTable *ret);

/* The name of the first property in which two tables differ, a constant; NULL if they are the same. */
const char *table_difference(const CryptTable *a, const CryptTable *b);

/* The same three for an integrity target; what its parameters do not say, number too, stays 0 when
 * parsed. */
int table_parse_integrity(const char *params, IntegrityTable *ret);
int table_read_integrity(const char *name, IntegrityTable *ret);
const char *table_integrity_difference(const IntegrityTable *a, const IntegrityTable *b);
