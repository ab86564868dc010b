/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The guest's report, in the hands of the host: a hostile guest can choose one word out of two lists. */

#include "fuzz.h"
#include "report.h"

static void check_description(const Report *report) {
        _cleanup_free_ char *text = NULL;

        CHECK(report_describe(report, &text) == 0);
        CHECK(!text == (report->state == REPORT_ENCRYPTED));
        for (const char *p = text; p && *p; p++)
                CHECK(strchr("abcdefghijklmnopqrstuvwxyzRAM -:", *p));
}

void fuzz_target(const char *text, size_t size) {
        Report report = { .state = (ReportState) 4711 }, other;

        int r = report_parse(text, size, &report);
        if (r < 0) {
                CHECK(r == (size > REPORT_LINE_MAX ? -E2BIG : -EBADMSG));
                CHECK(report.state == (ReportState) 4711);
                return;
        }
        CHECK(size <= REPORT_LINE_MAX && strlen(text) == size);
        CHECK(report.state >= REPORT_ENCRYPTED && report.state <= REPORT_OFF);
        CHECK(!report.reason || strstr(text, report.reason));
        for (size_t i = 0; i < size; i++)
                CHECK((unsigned char) text[i] >= ' ');
        check_description(&report);

        /* One object and no more: no beginning of it is one, and nothing may follow. */
        size_t end = size;
        while (text[end - 1] == ' ')
                end--;
        CHECK(text[end - 1] == '}');
        CHECK(report_parse(text, end - 1, &other) == -EBADMSG);
        if (end < REPORT_LINE_MAX) {
                char more[REPORT_LINE_MAX];
                memcpy(more, text, end);
                more[end] = '}';
                CHECK(report_parse(more, end + 1, &other) == -EBADMSG);
        }
}
