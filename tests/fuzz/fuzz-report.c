/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The guest's report, a line that a hostile guest writes. */

#include "fuzz.h"
#include "report.h"

void fuzz_target(const char *text, size_t size) {
        Report report = { .state = REPORT_OFF }, again;
        _cleanup_free_ char *line = NULL, *description = NULL, *json = NULL;

        if (report_parse(text, size, &report) < 0) {
                CHECK(report.state == REPORT_OFF && !report.reason);
                return;
        }
        CHECK(report_describe(&report, &description) == 0);
        CHECK(!description == (report.state == REPORT_ENCRYPTED));
        CHECK(report_format(&report, 1, 0, &json) == 0);
        CHECK(startswith(json, "{\"state\":\"") && strchr(json, '\n') == json + strlen(json) - 1);

        /* What was accepted is these words and nothing else. */
        CHECK(asprintf(&line, "%.*s", (int) strcspn(text, " "), text) > 0);
        CHECK(size == strlen(line) + (report.reason ? 1 + strlen(report.reason) : 0));
        CHECK(report_parse(line, strlen(line), &again) == 0 && again.state == report.state);
}
