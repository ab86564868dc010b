/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How it went: /run/ccvm-scratch/status.json, written by ccvm-scratch-setup in the boot, read by
 * ccvm-scratch(1) and by anybody else. The field names are an interface. */

#include <stdint.h>

#include "macro.h"
#include "paths.h"

typedef enum State {
        STATE_OFF,       /* no disk was asked for */
        STATE_ENCRYPTED, /* the pool is on the encrypted disk */
        STATE_TMPFS,     /* a disk was asked for, and the pool is in RAM: degraded */
        STATE_NONE,      /* a disk was asked for, and there is no pool: degraded */
        _STATE_MAX,
} State;

typedef enum Reason {
        REASON_NONE,
        REASON_DEVICE_TIMEOUT,
        REASON_DEVICE_AMBIGUOUS,
        REASON_DEVICE_READ_ONLY,
        REASON_DEVICE_TOO_SMALL,
        REASON_DEVICE_IN_USE,
        REASON_RNG,
        REASON_FORMAT,
        REASON_ACTIVATE,
        REASON_VERIFY,
        REASON_MKFS,
        REASON_MOUNT,
        REASON_TIMEOUT,
        REASON_KERNEL, /* it lacks a module, which the detail names */
        REASON_INTERNAL,
        REASON_WIPED,  /* by ccvm-scratch wipe, in the running system */
        REASON_CLONED, /* goes with STATE_ENCRYPTED: others may have the same key */
        _REASON_MAX,
} Reason;

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
        Reason reason;
        char *detail;         /* one line of text for people */
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
/* REASON_NONE gives NULL. */
const char *reason_to_string(Reason r);

/* The JSON text on one line, a newline at its end. The caller frees it. -ENOMEM. */
int status_format(const Status *s, char **ret);

/* The struct of such a text; keys that it does not know are ignored, those missing stay empty. -EINVAL if it
 * is no JSON object or has no known state, -ENOMEM. The caller calls status_done(), also after an error. */
int status_parse(const char *text, Status *ret);

void status_done(Status *s);

/* Frees the mounts alone; none are left. */
void status_free_mounts(Status *s);

/* Adds a sentence to the detail, of what went well and not quite as was asked for. */
void status_note(Status *s, const char *format, ...) _printf_(2, 3);

/* Notes a failure: the reason, and one line of detail. It is logged by whoever ends the work. Returns
 * -abs(error), or -EIO if error is 0, so that "return status_fail(…)" works. */
int status_fail(Status *s, Reason reason, int error, const char *format, ...) _printf_(4, 5);
