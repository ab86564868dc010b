/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The guest's report: what a hostile guest may write, and what a good one does. */

#include "report.h"
#include "test.h"

static const char good[] = "{\"state\":\"tmpfs\",\"reason\":\"device-timeout\","
                           "\"detail\":\"no \\u0064isk \\\"x\\\" \\\\ ü\",\"device\":null,"
                           "\"sizeBytes\":-1.5e+10,\"keyslots\":0,"
                           "\"deep\":[{\"state\":\"encrypted\"},[],{},[1,2]],\"yes\":true,"
                           "\"mounts\":[\"/scratch\",\"/nix/store\"],\"timingsUSec\":{\"total\":1}}";

static void test_rejected(void **state) {
        static const char *const table[] = {
                "",
                " ",
                "null",
                "[]",
                "\"encrypted\"",
                "{}",
                "{\"state\":\"encrypted\"",
                "{\"state\":\"encrypted\"}}",
                "{\"state\":\"encrypted\"} {}",
                "{\"state\":\"encrypted\",}",
                "{\"state\" \"encrypted\"}",
                "{state:\"encrypted\"}",
                "{'state':'encrypted'}",
                "{\"state\":encrypted}",
                "{\"state\":null}",
                "{\"state\":true}",
                "{\"state\":[\"encrypted\"]}",
                "{\"state\":\"\"}",
                "{\"state\":\"Encrypted\"}",
                "{\"state\":\"encrypted \"}",
                "{\"state\":\"encrypte\\u0064\"}",
                "{\"x\":{\"state\":\"encrypted\"}}",
                /* twice: who reads the first and who reads the last would differ */
                "{\"state\":\"tmpfs\",\"state\":\"encrypted\"}",
                "{\"state\":\"tmpfs\",\"reason\":\"rng\",\"reason\":null}",
                /* reasons that are none */
                "{\"state\":\"tmpfs\",\"reason\":\"\"}",
                "{\"state\":\"tmpfs\",\"reason\":\"because\"}",
                "{\"state\":\"tmpfs\",\"reason\":false}",
                "{\"state\":\"tmpfs\",\"reason\":\"\\u001b[2J\"}",
                /* broken values elsewhere */
                "{\"state\":\"encrypted\",\"x\":}",
                "{\"state\":\"encrypted\",\"x\":01}",
                "{\"state\":\"encrypted\",\"x\":-}",
                "{\"state\":\"encrypted\",\"x\":1.}",
                "{\"state\":\"encrypted\",\"x\":.5}",
                "{\"state\":\"encrypted\",\"x\":1e}",
                "{\"state\":\"encrypted\",\"x\":+1}",
                "{\"state\":\"encrypted\",\"x\":NaN}",
                "{\"state\":\"encrypted\",\"x\":nul}",
                "{\"state\":\"encrypted\",\"x\":\"\\x\"}",
                "{\"state\":\"encrypted\",\"x\":\"\\u12g4\"}",
                "{\"state\":\"encrypted\",\"x\":\"\\u12\"}",
                "{\"state\":\"encrypted\",\"x\":\"\\",
                "{\"state\":\"encrypted\",\"x\":[[[[[[[[[[]]]]]]]]]]}",
                /* control characters, and bytes that are no UTF-8 */
                "{\"state\":\"encrypted\",\"x\":\"\033[2J\"}",
                "{\"state\":\"encrypted\",\"x\":\"\t\"}",
                "{\"state\":\"encrypted\",\"x\":\"\x7f\"}",
                "{\"state\":\"encrypted\",\"x\":\"\xc2\x9b\"}",
                "{\"state\":\"encrypted\",\"x\":\"\x80\"}",
                "{\"state\":\"encrypted\",\"x\":\"\xc0\xaf\"}",
                "{\"state\":\"encrypted\",\"x\":\"\xe0\x80\x80\"}",
                "{\"state\":\"encrypted\",\"x\":\"\xed\xa0\x80\"}",
                "{\"state\":\"encrypted\",\"x\":\"\xf4\x90\x80\x80\"}",
                "{\"state\":\"encrypted\",\"x\":\"\xff\"}",
                "{\"state\":\"encrypted\"}\xc3",
                "{\"state\":\"encrypted\"}\r",
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Report report;

                if (report_parse(table[i], strlen(table[i]), &report) != -EBADMSG)
                        fail_msg("accepted: %s", table[i]);
        }
}

static void test_nul_and_length(void **state) {
        static const char nul[] = "{\"state\":\"encrypted\"}\0{}";
        char big[REPORT_LINE_MAX + 1];
        Report report;

        assert_int_equal(report_parse(nul, sizeof(nul) - 1, &report), -EBADMSG);

        memset(big, ' ', sizeof(big));
        memcpy(big, "{\"state\":\"encrypted\"}", strlen("{\"state\":\"encrypted\"}"));
        assert_int_equal(report_parse(big, sizeof(big) - 1, &report), 0);
        assert_int_equal(report_parse(big, sizeof(big), &report), -E2BIG);
        memset(big, '[', sizeof(big));
        assert_int_equal(report_parse(big, sizeof(big) - 1, &report), -EBADMSG);
}

static void test_accepted(void **state) {
        static const struct {
                const char *line;
                ReportState state;
                const char *text;
        } table[] = {
                { "{\"state\":\"encrypted\"}", REPORT_ENCRYPTED, NULL },
                { " { \"reason\" : null , \"state\" : \"encrypted\" } ", REPORT_ENCRYPTED, NULL },
                { "{\"state\":\"encrypted\",\"reason\":null,\"x\":\"\xf0\x9f\x94\x92\"}", REPORT_ENCRYPTED,
                  NULL },
                { good, REPORT_TMPFS, "guest fell back to RAM: device-timeout" },
                { "{\"state\":\"tmpfs\",\"reason\":null}", REPORT_TMPFS, "guest fell back to RAM" },
                { "{\"state\":\"none\",\"reason\":\"mkfs\"}", REPORT_NONE,
                  "guest has no scratch space: mkfs" },
                { "{\"state\":\"off\"}", REPORT_OFF, "guest does not use the disk" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *text = NULL;
                Report report;

                assert_int_equal(report_parse(table[i].line, strlen(table[i].line), &report), 0);
                assert_int_equal(report.state, table[i].state);
                assert_int_equal(report_describe(&report, &text), 0);
                if (table[i].text)
                        assert_string_equal(text, table[i].text);
                else
                        assert_null(text);
        }
}

/* Every beginning of a good line is refused, and no single byte in it can make the reader run away; what is
 * still accepted afterwards says one of the known things. */
static void test_mutated(void **state) {
        char line[sizeof(good)];

        for (size_t n = 0; n < sizeof(good) - 1; n++) {
                Report report;
                assert_int_equal(report_parse(good, n, &report), -EBADMSG);
        }
        for (size_t at = 0; at < sizeof(good) - 1; at++)
                for (int byte = 0; byte < 256; byte++) {
                        Report report = { .state = REPORT_OFF };

                        memcpy(line, good, sizeof(good));
                        line[at] = (char) byte;
                        if (report_parse(line, sizeof(good) - 1, &report) >= 0)
                                assert_int_equal(report.state, REPORT_TMPFS);
                }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rejected),
                cmocka_unit_test(test_nul_and_length),
                cmocka_unit_test(test_accepted),
                cmocka_unit_test(test_mutated),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
