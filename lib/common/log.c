/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>

static const char *log_name = "ccvm-scratch";
static bool log_prefixed; /* stderr is the journal: say the priority */
static int log_kmsg_fd = -EBADF;

/* The variable is inherited by much that writes elsewhere: it names the stream (sd-daemon's rule). */
static bool is_journal_stream(const char *value) {
        unsigned long long device, inode;
        struct stat st;

        return value && sscanf(value, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) >= 0 &&
               st.st_dev == device && st.st_ino == inode;
}

void log_setup(const char *name) {
        log_name = name;
        log_prefixed = is_journal_stream(getenv("JOURNAL_STREAM"));
}

void log_to_kmsg(void) {
        if (log_kmsg_fd < 0)
                log_kmsg_fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NOCTTY);
}

int log_full(int level, int error, const char *format, ...) {
        /* The kernel takes at most about 1 KiB a record, and one write() is one record. */
        char line[900] = "", text[700] = "";
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);

        /* Text from outside may be quoted in it: a log line stays one line, and moves no cursor. */
        for (char *p = text; *p; p++)
                if (*p < ' ' || *p > '~')
                        *p = '?';

        const char *colon = error != 0 ? ": " : "", *reason = error != 0 ? strerror(abs(error)) : "";
        if (log_kmsg_fd >= 0)
                (void) snprintf(line, sizeof(line), "<%i>%s[%i]: %s%s%s\n", LOG_DAEMON | level, log_name,
                                (int) getpid(), text, colon, reason);
        else if (log_prefixed)
                (void) snprintf(line, sizeof(line), "<%i>%s%s%s\n", level, text, colon, reason);
        else
                (void) snprintf(line, sizeof(line), "%s: %s%s%s\n", log_name, text, colon, reason);
        if (write(log_kmsg_fd >= 0 ? log_kmsg_fd : STDERR_FILENO, line, strlen(line)) < 0)
                return -abs(error); /* nowhere left to say it */
        return -abs(error);
}
