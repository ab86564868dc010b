/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "test.h"

#include "status.h"

#define TEN(s) s s s s s s s s s s

static void test_rejects(void **state) {
        static const char *const table[] = {
                "",
                "x",
                "[]",
                "{}",
                "null",
                "{\"state\":1}",
                "{\"state\":null}",
                "{\"state\":\"good\"}",
                "{\"state\":\"off\"",
                "{\"state\":\"off\"}x",
                "{'state':'off'}",
                "{\"state\":\"off\",}",
                "{\"state\":\"off\\u0000\"}",
                "{\"state\":\"off\",\"a\":" TEN("[") TEN("[") TEN("[") TEN("[") TEN("]") TEN("]") TEN("]")
                        TEN("]") "}",
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(status_done) Status s = {};
                assert_int_equal(status_parse(table[i], &s), -EINVAL);
        }
}

/* Fields of the wrong type, and fields that a later version may add, are as good as absent. */
static void test_tolerates(void **state) {
        _cleanup_(status_done) Status s = {};

        assert_int_equal(
                status_parse("{\"state\":\"tmpfs\",\"reason\":\"new-reason\",\"detail\":5,\"keySize\":\"x\","
                             "\"sizeBytes\":-1,\"keyslots\":18446744073709551615,\"sectorSize\":1.5,"
                             "\"future\":{},\"timingsUSec\":{\"mkfs\":7,\"total\":9223372036854775807}}",
                             &s),
                0);
        assert_int_equal(s.state, STATE_TMPFS);
        assert_int_equal(s.reason, REASON_INTERNAL);
        assert_null(s.detail);
        assert_int_equal(s.key_size, 0);
        assert_int_equal(s.size_bytes, 0);
        assert_int_equal(s.keyslots, 0);
        assert_int_equal(s.sector_size, 0);
        assert_int_equal(s.timings_usec[TIMING_MKFS], 7);
        assert_int_equal(s.timings_usec[TIMING_TOTAL], 0);
        assert_null(s.mounts);
}

/* Neither do strings that could move a cursor count, nor what is no path among the mounts. */
static void test_drops(void **state) {
        _cleanup_(status_done) Status s = {};

        assert_int_equal(status_parse("{\"state\":\"off\",\"detail\":\"\\u007f\",\"device\":\"a\\nb\","
                                      "\"uuid\":\"a\\u0000b\",\"cipher\":\"\\u00ff\",\"fsType\":\"\\ud800\","
                                      "\"mounts\":[1,\"/a\",null,\"\\u001b\",\"/b\"]}\n",
                                      &s),
                         0);
        assert_null(s.detail);
        assert_null(s.device);
        assert_null(s.uuid);
        assert_null(s.cipher);
        assert_null(s.fs_type);
        assert_string_equal(s.mounts[0], "/a");
        assert_string_equal(s.mounts[1], "/b");
        assert_null(s.mounts[2]);
}

static void test_round_trip(void **state) {
        char *mounts[] = { (char *) "/scratch", (char *) "/nix/.rw-store", NULL };
        const Status s = {
                .state = STATE_ENCRYPTED,
                .detail = (char *) "a \"quoted\" \\ line",
                .device = (char *) "/dev/vdb",
                .mapper = (char *) "/dev/mapper/ccvm-scratch",
                .uuid = (char *) "u",
                .cipher = (char *) "aes-xts-plain64",
                .key_size = 512,
                .sector_size = 4096,
                .header = (char *) "disk",
                .integrity = (char *) "no",
                .fs_type = (char *) "ext4",
                .size_bytes = UINT64_C(1) << 40,
                .mounts = mounts,
                .timings_usec = { 1, 2, 3, 4, 5, 15 },
        };
        _cleanup_(status_done) Status t = {};
        _cleanup_free_ char *text = NULL, *again = NULL;

        assert_int_equal(status_format(&s, &text), 0);
        assert_string_equal(
                text, "{\"state\":\"encrypted\",\"reason\":null,\"detail\":\"a \\\"quoted\\\" \\\\ line\","
                      "\"device\":\"/dev/vdb\",\"mapper\":\"/dev/mapper/ccvm-scratch\",\"uuid\":\"u\","
                      "\"cipher\":\"aes-xts-plain64\",\"header\":\"disk\",\"integrity\":\"no\","
                      "\"fsType\":\"ext4\",\"keySize\":512,\"sectorSize\":4096,\"keyslots\":0,"
                      "\"sizeBytes\":1099511627776,\"mounts\":[\"/scratch\",\"/nix/.rw-store\"],"
                      "\"timingsUSec\":{\"wait\":1,\"format\":2,\"activate\":3,\"mkfs\":4,\"mount\":5,"
                      "\"total\":15}}\n");
        assert_int_equal(status_parse(text, &t), 0);
        assert_int_equal(status_format(&t, &again), 0);
        assert_string_equal(text, again);
        assert_int_equal(t.size_bytes, s.size_bytes);
        assert_string_equal(t.detail, s.detail);
        assert_string_equal(t.mounts[1], mounts[1]);
        assert_int_equal(t.timings_usec[TIMING_TOTAL], 15);
}

static void test_every_word(void **state) {
        for (int state_number = 0; state_number < _STATE_MAX; state_number++)
                for (int reason = 0; reason < _REASON_MAX; reason++) {
                        _cleanup_(status_done) Status t = {};
                        _cleanup_free_ char *text = NULL;
                        const Status s = { .state = state_number, .reason = reason };
                        assert_int_equal(status_format(&s, &text), 0);
                        assert_int_equal(status_parse(text, &t), 0);
                        assert_int_equal(t.state, state_number);
                        assert_int_equal(t.reason, reason);
                }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rejects),    cmocka_unit_test(test_tolerates),
                cmocka_unit_test(test_round_trip), cmocka_unit_test(test_every_word),
                cmocka_unit_test(test_drops),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
