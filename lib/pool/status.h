/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The record of how it went, /run/ccvm-scratch/status.json. The field names are an interface.
 *
 * When: ccvm-scratch-setup writes it in the initrd, or in the real root where the initrd has none, and
 * again when the pool is renewed, wiped or found cloned; ccvm-scratch(1) and others read it at any time. */

#include <stdint.h>

#include "failure.h"
#include "paths.h"

typedef enum State {
        STATE_OFF,       /* no disk was asked for */
        STATE_ENCRYPTED, /* the pool is on the encrypted disk */
        STATE_TMPFS,     /* a disk was asked for, and the pool is in RAM: degraded */
        STATE_NONE,      /* a disk was asked for, and there is no pool: degraded */
        _STATE_MAX,
} State;

typedef enum Timing {
        TIMING_WAIT, /* from the program's start until the disk is found and checked */
        TIMING_FORMAT,
        TIMING_ACTIVATE, /* with the read-back of the mapping */
        TIMING_MKFS,
        TIMING_MOUNT, /* with the directories */
        TIMING_TOTAL,
        _TIMING_MAX,
} Timing;

/* All strings are owned; NULL, or 0 for a number, is what does not apply. */
typedef struct Status {
        State state;
        union { /* also under the names of its fields */
                Failure failure;
                struct {
                        Reason reason;
                        char *detail;
                };
        };
        char *device;         /* node of the disk, "/dev/vdb" */
        char *mapper;         /* node of the mapping */
        char *uuid;           /* of the LUKS2 header */
        char *cipher;         /* as in the device-mapper table, "aes-xts-plain64" */
        uint64_t key_size;    /* bits */
        uint64_t sector_size; /* bytes, of the encryption */
        uint64_t keyslots;    /* active keyslots in the header */
        char *header;         /* "disk", "ram" */
        char *integrity;      /* "no", "hmac-sha256" */
        char *fs_type;        /* of the pool */
        uint64_t size_bytes;  /* of the mapping, or the limit of the tmpfs */
        char **mounts; /* NULL-terminated; what the pool is meant to be mounted on, without /sysroot */
        uint64_t timings_usec[_TIMING_MAX];
} Status;

const char *state_to_string(State s);

/* Tells whether there is no pool, or another one than was asked for, or a reason to distrust it. */
bool status_is_degraded(const Status *s);

struct json_object;

/* Makes a JSON object of s, by json-c, with the keys in their order. The caller puts it. -ENOMEM. */
int status_to_json(const Status *s, struct json_object **ret);

/* Makes its text on one line, a newline at its end. The caller frees it. -ENOMEM. */
int status_format(const Status *s, char **ret);

/* Makes a struct of such a text. Keys that are not known are ignored; what is missing, of another type,
 * or no printable ASCII stays empty. -EINVAL if text is no JSON object or has no known state, -ENOMEM.
 * The caller calls status_done(), also after an error. */
int status_parse(const char *text, Status *ret);

/* Reads the record. -ENOENT if there is none, the other errors of file_read() and status_parse(). The
 * caller calls status_done(), also after an error. */
int status_read(Status *ret);

/* Writes the record: a reader sees the old one or the whole new one. -ENOMEM, or what the kernel says. */
int status_write(const Status *s);

void status_done(Status *s);

/* Frees the mounts alone; s has none then. */
void status_free_mounts(Status *s);

/* Sets the failure of s (failure.h). */
#define status_fail(s, ...) failure_set(&(s)->failure, __VA_ARGS__)
