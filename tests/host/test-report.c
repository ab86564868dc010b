/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The guest's report: what a hostile guest may write, and what a good one does. */

#include "report.h"
#include "test.h"

static void test_rejected(void **state) {
        static const char *const table[] = {
                "",
                " ",
                "Encrypted",
                "encrypted ",
                " encrypted",
                "encrypte",
                "encryptedx",
                "encrypted\r",
                "encrypted\tmkfs",
                "tmpfs  mkfs",
                "tmpfs mkfs ",
                "tmpfs mkfs mkfs",
                "tmpfs because",
                "tmpfs \033[2J",
                "mkfs",
                "mkfs tmpfs",
                "{\"state\":\"encrypted\"}",
                "encrypted\nencrypted",
        };
        Report report = { .state = REPORT_OFF };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                assert_int_equal(report_parse(table[i], strlen(table[i]), &report), -EBADMSG);
                assert_int_equal(report.state, REPORT_OFF);
        }
        assert_int_equal(report_parse("encrypted\0", 10, &report), -EBADMSG);
        assert_int_equal(report_parse("tmpfs mkfs\0", 11, &report), -EBADMSG);
        assert_int_equal(report_parse("encrypted", 8, &report), -EBADMSG);
}

static void test_accepted(void **state) {
        static const struct {
                const char *line;
                Report report;
                const char *description, *json;
        } table[] = {
                { "encrypted",
                  { REPORT_ENCRYPTED, NULL },
                  NULL,
                  "{\"state\":\"encrypted\",\"reason\":null," },
                { "encrypted cloned",
                  { REPORT_ENCRYPTED, "cloned" },
                  NULL,
                  "{\"state\":\"encrypted\",\"reason\":\"cloned\"," },
                { "off",
                  { REPORT_OFF, NULL },
                  "guest does not use the disk",
                  "{\"state\":\"off\",\"reason\":null," },
                { "tmpfs device-timeout",
                  { REPORT_TMPFS, "device-timeout" },
                  "guest fell back to RAM: device-timeout",
                  "{\"state\":\"tmpfs\",\"reason\":\"device-timeout\"," },
                { "none wiped",
                  { REPORT_NONE, "wiped" },
                  "guest has no scratch space: wiped",
                  "{\"state\":\"none\",\"reason\":\"wiped\"," },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *description = NULL, *json = NULL, *expected = NULL;
                Report report = {};

                assert_int_equal(report_parse(table[i].line, strlen(table[i].line), &report), 0);
                assert_int_equal(report.state, table[i].report.state);
                assert_int_equal(!!report.reason, !!table[i].report.reason);
                if (report.reason)
                        assert_string_equal(report.reason, table[i].report.reason);
                assert_int_equal(report_describe(&report, &description), 0);
                assert_int_equal(!!description, !!table[i].description);
                if (description)
                        assert_string_equal(description, table[i].description);
                assert_int_equal(report_format(&report, 3, 1795757226, &json), 0);
                assert_true(asprintf(&expected, "%s\"boots\":3,\"time\":\"2026-11-27T05:27:06Z\"}\n",
                                     table[i].json) > 0);
                assert_string_equal(json, expected);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rejected),
                cmocka_unit_test(test_accepted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
