/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "announce.h"

#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <systemd/sd-journal.h>

#include "fileio.h"
#include "log.h"
#include "mounted.h"
#include "parse.h"
#include "record.h"

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

#define PORT_NAME "ccvm.status"
#define VIRTIO_ID_CONSOLE "0x0003" /* linux/virtio_ids.h, as sysfs shows it */

#define STEP_USEC (10 * 1000U)
#define PORT_STEPS 100U  /* until virtio_console is loaded and has its ports */
#define LISTEN_STEPS 20U /* until the host has said that it listens */

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

static bool file_has(const char *path, const char *text) {
        _cleanup_free_ char *found = attribute_read("%s", path);

        return found && streq(found, text);
}

/* Opens the port. -ENOENT if there is none. Never blocking: a host that does not read must not hold up the
 * boot. */
static int open_port(void) {
        _cleanup_(globfree) glob_t names = {};
        int fd = -ENOENT;

        (void) glob("/sys/class/virtio-ports/*/name", GLOB_NOSORT, NULL, &names);
        for (size_t i = 0; i < names.gl_pathc && fd == -ENOENT; i++) {
                char node[64], *end = strrchr(names.gl_pathv[i], '/');

                if (!file_has(names.gl_pathv[i], PORT_NAME))
                        continue;
                *end = 0;
                snprintf(node, sizeof(node), "/dev%s", strrchr(names.gl_pathv[i], '/'));
                fd = open(node, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
                if (fd < 0)
                        return -errno;
        }
        return fd;
}

/* Whether there is a virtio console of which the kernel has not shown any port yet. Without one, as in most
 * guests, nothing is waited for. */
static bool port_may_come(void) {
        _cleanup_(globfree) glob_t types = {};
        bool found = false;

        (void) glob("/sys/bus/virtio/devices/*/device", GLOB_NOSORT, NULL, &types);
        for (size_t i = 0; i < types.gl_pathc && !found; i++) {
                char ports[128];

                snprintf(ports, sizeof(ports), "%.*svirtio-ports",
                         (int) strlen(types.gl_pathv[i]) - (int) strlen("device"), types.gl_pathv[i]);
                found = file_has(types.gl_pathv[i], VIRTIO_ID_CONSOLE) && access(ports, F_OK) < 0;
        }
        return found;
}

/* Writes line, which ends in a newline, to the virtio-serial port that ccvm-scratch-run attaches; without
 * such a port there is nothing to do. Waits at most 1.2 s, and only while the kernel is still finding out
 * which ports there are. -ENOTCONN if nobody listens; other errors of open(2) and write(2). */
static int report_to_host(const char *line) {
        _cleanup_close_ int fd = -EBADF;

        for (unsigned i = 0; (fd = open_port()) == -ENOENT; i++) {
                if (i == PORT_STEPS || !port_may_come())
                        return 0;
                (void) usleep(STEP_USEC);
        }
        if (fd < 0)
                return fd;
        for (unsigned i = 0; i < LISTEN_STEPS; i++) {
                ssize_t n = write(fd, line, strlen(line));
                if (n >= 0)
                        return (size_t) n == strlen(line) ? 0 : -EIO;
                if (errno != EAGAIN)
                        return -errno;
                (void) usleep(STEP_USEC);
        }
        return -ENOTCONN;
}

/* Sends an entry to the journal, with one more field than each has. */
static void send_entry(const Status *s, const char *id, int priority, const char *message, const char *field,
                       const char *value) {
        int r;

        r = sd_journal_send("MESSAGE=%s", message, "MESSAGE_ID=%s", id, "PRIORITY=%i", priority,
                            "CCVM_STATE=%s", state_to_string(s->state), "CCVM_DEVICE=%s", s->device ?: "",
                            "%s=%s", field, value, NULL);
        if (r < 0)
                log_warning_errno(r, "%s The journal does not answer", message);
}

int announce_outcome(const Status *s) {
        _cleanup_free_ char *message = make_message(s), *line = NULL;
        const char *reason = reason_to_string(s->reason);
        bool cloned = s->reason == REASON_CLONED;
        int r;

        if (!message ||
            asprintf(&line, "%s%s%s\n", state_to_string(s->state), reason ? " " : "", reason ?: "") < 0)
                return log_oom();
        send_entry(s, cloned ? MESSAGE_ID_CLONED : message_ids[s->state],
                   status_is_degraded(s) ? LOG_WARNING : LOG_INFO, message, "CCVM_REASON", reason ?: "");
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
        _cleanup_free_ char *list = NULL, *message = NULL;
        int n;

        n = mounted_missing(s, NULL, &missing);
        if (n == 0)
                return 0;
        list = n > 0 ? join(missing) : NULL;
        if (!list || asprintf(&message, "The scratch pool is not what programs get on %s.", list) < 0)
                return log_oom();
        send_entry(s, MESSAGE_ID_MISSING, LOG_WARNING, message, "CCVM_MISSING", list);
        return -ESTALE;
}

int announce_health(const Status *s, Health h) {
        static const char *const explanations[_HEALTH_MAX] = {
                [HEALTH_OK] = "there are no errors any more",
                [HEALTH_ERRORS] = "reads or writes have failed, and what was written may be lost",
                [HEALTH_READ_ONLY] = "its file system has failed, and takes no writes any more",
                [HEALTH_GONE] = "its disk is gone, or its file system has shut down",
        };
        const char *word = health_to_string(h);
        _cleanup_free_ char *told = NULL, *message = NULL;
        int r;

        (void) file_read(HEALTH_PATH, KIB, &told);
        if (streq(told ?: health_to_string(HEALTH_OK), word))
                return 0;
        if (asprintf(&message, "The health of the scratch pool on %s is \"%s\": %s.",
                     s->device ?: "the disk", word, explanations[h]) < 0)
                return log_oom();
        send_entry(s, MESSAGE_ID_HEALTH, h == HEALTH_OK ? LOG_INFO : LOG_ERR, message, "CCVM_HEALTH", word);
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
