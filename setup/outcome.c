/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "outcome.h"

#include <inttypes.h>
#include <systemd/sd-journal.h>

#include "fileio.h"
#include "health.h"
#include "host.h"
#include "log.h"
#include "mounted.h"
#include "parse.h"

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

int outcome_write(const Status *s) {
        int r = status_write(s);

        return r < 0 ? log_error_errno(r, "Failed to write '%s'", STATUS_PATH) : 0;
}

static char *make_message(const Status *s) {
        const char *reason = reason_to_string(s->reason) ?: "none", *detail = s->detail ?: "no detail";
        char *text = NULL;
        int n = -1;

        if (s->reason == REASON_CLONED)
                return asprintf(&text, "The scratch pool on %s may share its key with a clone: %s.",
                                s->device ?: "the disk", detail) < 0
                               ? NULL
                               : text;
        switch (s->state) {
        case STATE_OFF:
                n = asprintf(&text, "The scratch pool is in RAM: no disk was asked for.");
                break;
        case STATE_ENCRYPTED:
                n = asprintf(&text,
                             "The scratch pool is on the encrypted disk %s (%s, %s), set up in %" PRIu64
                             " ms%s%s.",
                             s->device, s->cipher, s->fs_type, s->timings_usec[TIMING_TOTAL] / 1000,
                             s->detail ? ": " : "", s->detail ?: "");
                break;
        case STATE_TMPFS:
                n = asprintf(&text, "The scratch pool fell back to RAM (%s): %s", reason, detail);
                break;
        case STATE_NONE:
                n = asprintf(&text, "There is no scratch pool (%s): %s", reason, detail);
                break;
        case _STATE_MAX:
                break;
        }
        return n < 0 ? NULL : text;
}

int outcome_announce(const Status *s) {
        _cleanup_free_ char *message = make_message(s), *line = NULL;
        bool cloned = s->reason == REASON_CLONED;
        const char *reason = reason_to_string(s->reason);
        int r;

        if (!message ||
            asprintf(&line, "%s%s%s\n", state_to_string(s->state), reason ? " " : "", reason ?: "") < 0)
                return log_oom();
        r = sd_journal_send("MESSAGE=%s", message, "MESSAGE_ID=%s",
                            cloned ? MESSAGE_ID_CLONED : message_ids[s->state], "PRIORITY=%i",
                            status_is_degraded(s) ? LOG_WARNING : LOG_INFO, "CCVM_STATE=%s",
                            state_to_string(s->state), "CCVM_REASON=%s", reason ?: "", "CCVM_DEVICE=%s",
                            s->device ?: "", NULL);
        if (r < 0)
                (void) log_warning_errno(r, "%s The journal does not answer", message);
        r = host_tell(line);
        if (r < 0)
                (void) log_warning_errno(r, "Failed to tell the host");
        return outcome_write(s);
}

/* The list in one line, for the caller to free. */
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

int outcome_check_mounts(const Status *s) {
        _cleanup_free_ const char **missing = NULL;
        _cleanup_free_ char *list = NULL;
        int n;

        n = mounted_missing(s, NULL, &missing);
        if (n < 0)
                return log_oom();
        if (n == 0)
                return 0;
        list = join(missing);
        if (!list)
                return log_oom();
        n = sd_journal_send("MESSAGE=The scratch pool is not what programs get on %s.", list,
                            "MESSAGE_ID=" MESSAGE_ID_MISSING, "PRIORITY=%i", LOG_WARNING, "CCVM_STATE=%s",
                            state_to_string(s->state), "CCVM_MISSING=%s", list, NULL);
        if (n < 0)
                (void) log_warning_errno(n, "Not on the scratch pool: %s. The journal does not answer",
                                         list);
        return -ESTALE;
}

static int announce_health(const Status *s, Health h) {
        static const char *const explanations[_HEALTH_MAX] = {
                [HEALTH_OK] = "there are no errors any more",
                [HEALTH_ERRORS] = "reads or writes have failed, and what was written may be lost",
                [HEALTH_READ_ONLY] = "its file system has failed, and takes no writes any more",
                [HEALTH_GONE] = "its disk is gone, or its file system has shut down",
        };
        int r = sd_journal_send(
                "MESSAGE=The health of the scratch pool on %s is \"%s\": %s.", s->device ?: "the disk",
                health_to_string(h), explanations[h], "MESSAGE_ID=" MESSAGE_ID_HEALTH, "PRIORITY=%i",
                h == HEALTH_OK ? LOG_INFO : LOG_ERR, "CCVM_STATE=%s", state_to_string(s->state),
                "CCVM_HEALTH=%s", health_to_string(h), "CCVM_DEVICE=%s", s->device ?: "", NULL);

        return r < 0 ? log_warning_errno(r,
                                         "The health of the scratch pool is \"%s\". "
                                         "The journal does not answer",
                                         health_to_string(h))
                     : 0;
}

int outcome_note_health(const Status *s, Health h) {
        _cleanup_free_ char *told = NULL;
        int r;

        (void) file_read(HEALTH_PATH, KIB, &told);
        if (streq(told ?: health_to_string(HEALTH_OK), health_to_string(h)))
                return 0;
        (void) announce_health(s, h);
        r = file_write_atomic(HEALTH_PATH, health_to_string(h), 0644);
        return r < 0 ? log_error_errno(r, "Failed to write '%s'", HEALTH_PATH) : 0;
}

void outcome_forget_health(void) {
        static const char *const paths[] = { HEALTH_PATH, FREE_PATH, MISMATCHES_PATH };

        for (size_t i = 0; i < ELEMENTSOF(paths); i++)
                (void) unlink(paths[i]);
}

int outcome_load(Status *ret) {
        int r = status_read(ret);

        return r < 0 ? log_error_errno(r, "Failed to read '%s'", STATUS_PATH) : 0;
}

int outcome_load_encrypted(Status *ret) {
        int r = outcome_load(ret);

        return r < 0 ? r : ret->state == STATE_ENCRYPTED;
}

/* The parts of an earlier status that tell of the disk. Returns whether there is one with a reason. */
static bool take_earlier(Status *s) {
        _cleanup_(status_done) Status earlier = {};

        if (status_read(&earlier) < 0 || earlier.state != STATE_NONE || earlier.reason == REASON_NONE)
                return false;
        s->reason = earlier.reason;
        s->detail = TAKE_PTR(earlier.detail);
        s->device = TAKE_PTR(earlier.device);
        memcpy(s->timings_usec, earlier.timings_usec, sizeof(s->timings_usec));
        return true;
}

void outcome_explain_failure(Status *s) {
        const char *result = getenv("MONITOR_SERVICE_RESULT") ?: "no result";

        if (take_earlier(s))
                return;
        if (streq(result, "timeout"))
                (void) status_fail(s, REASON_TIMEOUT, ETIMEDOUT, "Setting up the disk took too long");
        else
                (void) status_fail(s, REASON_INTERNAL, 0, "ccvm-scratch-setup ended early (%s, %s %s)",
                                   result, getenv("MONITOR_EXIT_CODE") ?: "no exit code",
                                   getenv("MONITOR_EXIT_STATUS") ?: "");
}
