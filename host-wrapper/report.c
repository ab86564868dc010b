/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "report.h"

static const char *const states[] = {
        [REPORT_ENCRYPTED] = "encrypted",
        [REPORT_TMPFS] = "tmpfs",
        [REPORT_NONE] = "none",
        [REPORT_OFF] = "off",
};

static const char *const reasons[] = {
        "device-timeout",
        "device-ambiguous",
        "device-read-only",
        "device-too-small",
        "device-in-use",
        "rng",
        "format",
        "activate",
        "verify",
        "mkfs",
        "mount",
        "timeout",
        "kernel",
        "internal",
        "wiped",
        "cloned",
};

static int find_word(const char *word, size_t n, const char *const *list, size_t n_list) {
        for (size_t i = 0; i < n_list; i++)
                if (n == strlen(list[i]) && memcmp(word, list[i], n) == 0)
                        return (int) i;
        return -EBADMSG;
}

int report_parse(const char *line, size_t length, Report *ret) {
        const char *blank = memchr(line, ' ', length);
        size_t n = blank ? (size_t) (blank - line) : length;
        int state = find_word(line, n, states, ELEMENTSOF(states)), reason = -1;

        if (state < 0)
                return state;
        if (blank) {
                reason = find_word(blank + 1, length - n - 1, reasons, ELEMENTSOF(reasons));
                if (reason < 0)
                        return reason;
        }
        *ret = (Report) { .state = (ReportState) state, .reason = blank ? reasons[reason] : NULL };
        return 0;
}

int report_describe(const Report *report, char **ret) {
        static const char *const texts[] = {
                [REPORT_TMPFS] = "guest fell back to RAM",
                [REPORT_NONE] = "guest has no scratch space",
                [REPORT_OFF] = "guest does not use the disk",
        };

        *ret = NULL;
        if (report->state == REPORT_ENCRYPTED)
                return 0;
        return asprintf(ret, "%s%s%s", texts[report->state], report->reason ? ": " : "",
                        report->reason ?: "") < 0
                       ? -ENOMEM
                       : 0;
}

int report_format(const Report *report, unsigned boots, time_t when, char **ret) {
        const char *quote = report->reason ? "\"" : "";
        char time[sizeof("0000-00-00T00:00:00Z") + 16] = "";
        struct tm tm;

        if (gmtime_r(&when, &tm))
                (void) strftime(time, sizeof(time), "%Y-%m-%dT%H:%M:%SZ", &tm);
        return asprintf(ret, "{\"state\":\"%s\",\"reason\":%s%s%s,\"boots\":%u,\"time\":\"%s\"}\n",
                        states[report->state], quote, report->reason ?: "null", quote, boots, time) < 0
                       ? -ENOMEM
                       : 0;
}
