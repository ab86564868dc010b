/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Why something has failed: a word for programs, and a line of text for people. It is how the functions
 * below ccvm-scratch-setup report a failure; whoever calls them puts it into the status, or logs it.
 *
 * Used at any time of the boot, and by ccvm-scratch(1), which knows the words. */

#include "macro.h"

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

/* The word of a reason, a constant; NULL for REASON_NONE. */
const char *reason_to_string(Reason r);

/* The reason of a word. -EINVAL if there is none. */
int reason_from_string(const char *word);

typedef struct Failure {
        Reason reason;
        char *detail; /* owned; one line of printable ASCII; NULL if there is none, or no memory for one */
} Failure;

/* Replaces what f has by a reason and a line of detail, with the text of error at its end unless that is 0.
 * The detail that f has may be among the arguments.
 * Returns -abs(error), or -EIO if error is 0, so that "return failure_set(…)" works. */
int failure_set(Failure *f, Reason reason, int error, const char *format, ...) _printf_(4, 5);

/* Adds a sentence to the detail, about what went well and not quite as it was asked for. */
void failure_note(Failure *f, const char *format, ...) _printf_(2, 3);

/* Frees the detail; f is empty then. */
void failure_done(Failure *f);
