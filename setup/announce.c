/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "announce.h"

#include <fcntl.h>
#include <inttypes.h>
#include <systemd/sd-journal.h>

#include "fileio.h"
#include "log.h"
#include "mounted.h"
#include "parse.h"
#include "record.h"
#include "report.h"

/* units/ccvm-scratch.catalog explains each. */
static const char *const message_ids[_STATE_MAX] = {
        [STATE_OFF] = "7c625ba00f4c42c6bfddbedeaf1ba685",
        [STATE_ENCRYPTED] = "0b1a94c4546b462693583107a7ba0724",
        [STATE_TMPFS] = "a1b9127a7cab4dcbb72cafc329de128c",
        [STATE_NONE] = "69396b351533487fbc7bc9a5e5c0c9e4",
};

#define MESSAGE_ID_CLONED "c2f6f3f1a5594bb2a7d0c1a4e2b86f17"
#define MESSAGE_ID_MISSING "8d2b2e5b0f6a4e0f9a2f0c0f4a6d7c31"
#define MESSAGE_ID_HEALTH "5e0f6c1d9b7a4d35a8c2e4f1709b3d62"

/* The caller frees it; NULL if out of memory. */
static char *make_message(const Status *s) {
        const char *reason = reason_to_string(s->reason) ?: "none", *detail = s->detail ?: "no detail";
        char *text = NULL;
        int n = -1;

        if (s->reason == REASON_CLONED)
                n = asprintf(&text, "The scratch pool on %s may share its key with a clone: %s.",
                             s->device ?: "the disk", detail);
        else if (s->state == STATE_OFF)
                n = asprintf(&text, "The scratch pool is in RAM: no disk was asked for.");
        else if (s->state == STATE_ENCRYPTED)
                n = asprintf(&text,
                             "The scratch pool is on the encrypted disk %s (%s, %s), set up in %" PRIu64
                             " ms%s%s.",
                             s->device, s->cipher, s->fs_type, s->timings_usec[TIMING_TOTAL] / 1000,
                             s->detail ? ": " : "", s->detail ?: "");
        else if (s->state == STATE_TMPFS)
                n = asprintf(&text, "The scratch pool fell back to RAM (%s): %s", reason, detail);
        else
                n = asprintf(&text, "There is no scratch pool (%s): %s", reason, detail);
        return n < 0 ? NULL : text;
}

int announce_outcome(const Status *s) {
        _cleanup_free_ char *message = make_message(s), *line = NULL;
        const char *state = state_to_string(s->state), *reason = reason_to_string(s->reason);
        bool cloned = s->reason == REASON_CLONED;
        bool degraded = s->state == STATE_TMPFS || s->state == STATE_NONE || cloned;
        int r;

        if (!message || asprintf(&line, "%s%s%s\n", state, reason ? " " : "", reason ?: "") < 0)
                return log_oom();
        r = sd_journal_send("MESSAGE=%s", message, "MESSAGE_ID=%s",
                            cloned ? MESSAGE_ID_CLONED : message_ids[s->state], "PRIORITY=%i",
                            degraded ? LOG_WARNING : LOG_INFO, "CCVM_STATE=%s", state, "CCVM_REASON=%s",
                            reason ?: "", "CCVM_DEVICE=%s", s->device ?: "", NULL);
        if (r < 0)
                log_warning_errno(r, "%s The journal does not answer", message);
        r = report_to_host(line);
        if (r < 0)
                log_warning_errno(r, "Failed to tell the host");
        return record_write(s);
}

/* Joins the list in one line, which the caller frees; NULL if out of memory. */
static char *join(const char **list) {
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return NULL;
        for (const char **p = list; *p; p++)
                fprintf(f, "%s%s", p == list ? "" : " ", *p);
        return fclose(f) == 0 ? text : NULL;
}

int announce_missing(const Status *s) {
        _cleanup_free_ const char **missing = NULL;
        _cleanup_free_ char *list = NULL;
        int n;

        n = mounted_missing(s, NULL, &missing);
        if (n == 0)
                return 0;
        list = n > 0 ? join(missing) : NULL;
        if (!list)
                return log_oom();
        n = sd_journal_send("MESSAGE=The scratch pool is not what programs get on %s.", list,
                            "MESSAGE_ID=" MESSAGE_ID_MISSING, "PRIORITY=%i", LOG_WARNING, "CCVM_STATE=%s",
                            state_to_string(s->state), "CCVM_MISSING=%s", list, NULL);
        if (n < 0)
                log_warning_errno(n, "Not on the scratch pool: %s. The journal does not answer", list);
        return -ESTALE;
}

int announce_health(const Status *s, Health h) {
        static const char *const explanations[_HEALTH_MAX] = {
                [HEALTH_OK] = "there are no errors any more",
                [HEALTH_ERRORS] = "reads or writes have failed, and what was written may be lost",
                [HEALTH_READ_ONLY] = "its file system has failed, and takes no writes any more",
                [HEALTH_GONE] = "its disk is gone, or its file system has shut down",
        };
        const char *word = health_to_string(h), *device = s->device ?: "the disk";
        _cleanup_free_ char *told = NULL;
        int r;

        (void) file_read(HEALTH_PATH, KIB, &told);
        if (streq(told ?: health_to_string(HEALTH_OK), word))
                return 0;
        r = sd_journal_send("MESSAGE=The health of the scratch pool on %s is \"%s\": %s.", device, word,
                            explanations[h], "MESSAGE_ID=" MESSAGE_ID_HEALTH, "PRIORITY=%i",
                            h == HEALTH_OK ? LOG_INFO : LOG_ERR, "CCVM_STATE=%s", state_to_string(s->state),
                            "CCVM_HEALTH=%s", word, "CCVM_DEVICE=%s", s->device ?: "", NULL);
        if (r < 0)
                log_warning_errno(r, "The health of the scratch pool is \"%s\". The journal does not answer",
                                  word);
        r = file_write_atomic(HEALTH_PATH, word, 0644);
        if (r < 0)
                return log_error_errno(r, "Failed to write '%s'", HEALTH_PATH);
        return 0;
}

void announce_forget_health(void) {
        static const char *const paths[] = { HEALTH_PATH, FREE_PATH, MISMATCHES_PATH };

        for (size_t i = 0; i < ELEMENTSOF(paths); i++)
                (void) unlink(paths[i]);
}

void announce_on_console(const char *reason, const char *detail, const char *what_now) {
        _cleanup_close_ int fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

        if (fd >= 0)
                dprintf(fd, "\r\nccvm-scratch: no encrypted scratch disk (%s): %s; %s\r\n",
                        reason ?: "no reason", detail ?: "no detail", what_now);
}

int announce_power_off(const char *reason, const char *detail) {
        log_error("Powering off, as Fallback=fail says.");
        announce_on_console(reason, detail, "powering off, as Fallback=fail says");
        return -ECANCELED;
}
