/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "failure.h"

#include <stdarg.h>

static const char *const reason_table[_REASON_MAX] = {
        [REASON_DEVICE_TIMEOUT] = "device-timeout",
        [REASON_DEVICE_AMBIGUOUS] = "device-ambiguous",
        [REASON_DEVICE_READ_ONLY] = "device-read-only",
        [REASON_DEVICE_TOO_SMALL] = "device-too-small",
        [REASON_DEVICE_IN_USE] = "device-in-use",
        [REASON_RNG] = "rng",
        [REASON_FORMAT] = "format",
        [REASON_ACTIVATE] = "activate",
        [REASON_VERIFY] = "verify",
        [REASON_MKFS] = "mkfs",
        [REASON_MOUNT] = "mount",
        [REASON_TIMEOUT] = "timeout",
        [REASON_KERNEL] = "kernel",
        [REASON_INTERNAL] = "internal",
        [REASON_WIPED] = "wiped",
        [REASON_CLONED] = "cloned",
};

const char *reason_to_string(Reason r) {
        return reason_table[r];
}

int reason_from_string(const char *word) {
        for (int r = 0; r < _REASON_MAX; r++)
                if (reason_table[r] && streq(reason_table[r], word))
                        return r;
        return -EINVAL;
}

/* Replaces the detail by text, which is taken over. Other programs' words may be in it: it becomes one line,
 * which every reader of the status takes. */
static void set_detail(Failure *f, char *text) {
        free(f->detail);
        f->detail = text;
        for (char *p = text; p && *p; p++)
                if (*p < ' ' || *p > '~')
                        *p = '?';
}

/* The texts with between in their middle, for the caller to free; the one that is there if the other is
 * NULL. */
static char *join(const char *first, const char *between, const char *second) {
        char *text;

        if (!first || !second)
                between = "";
        return asprintf(&text, "%s%s%s", first ?: "", between, second ?: "") < 0 ? NULL : text;
}

static char *format_text(const char *format, va_list ap) {
        char *text;

        return vasprintf(&text, format, ap) < 0 ? NULL : text;
}

int failure_set(Failure *f, Reason reason, int error, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        text = format_text(format, ap);
        va_end(ap);
        f->reason = reason;
        set_detail(f, error == 0 ? TAKE_PTR(text) : join(text, ": ", strerror(abs(error))));
        return error == 0 ? -EIO : -abs(error);
}

void failure_note(Failure *f, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        text = format_text(format, ap);
        va_end(ap);
        set_detail(f, join(f->detail, "; ", text));
}

void failure_done(Failure *f) {
        free(f->detail);
        *f = (Failure) {};
}
