/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "test.h"

#include "device.h"

#define TEXT(s) (s), sizeof(s) - 1

static void test_serial(void **state) {
        static const struct {
                const char *text;
                size_t size;
                bool matches;
        } table[] = {
                { TEXT(""), false },
                { TEXT("\n"), false },
                { TEXT("                    "), false },
                { TEXT("ccvm-scratc\n"), false },
                { TEXT("ccvm-scratch2\n"), false },
                { TEXT("ccvm-scratch 2\n"), false },
                { TEXT("xccvm-scratch"), false },
                { TEXT("CCVM-SCRATCH"), false },
                { TEXT("ccvm-scratch\0"), false },
                { TEXT("ccvm-scratch\0 garbage"), false },
                { TEXT("\0ccvm-scratch"), false },
                { TEXT("\xff\xfe\x00"), false },
                { TEXT("ccvm-scratch*"), false },
                { TEXT("ccvm-scratch\t"), false },
                { TEXT("ccvm-scratch"), true },           /* virtio-blk */
                { TEXT("ccvm-scratch        \n"), true }, /* NVMe */
                { TEXT("    ccvm-scratch"), true },       /* SCSI, right-aligned */
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_int_equal(device_serial_matches(table[i].text, table[i].size, "ccvm-scratch"),
                                 table[i].matches);
        assert_false(device_serial_matches(TEXT("ccvm-scratch"), "ccvm-scratch2"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_serial),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
