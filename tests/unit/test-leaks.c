/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "root.h"

#include "leaks.h"

#define SWAPS "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

static void test_leaks(void **state) {
        static const struct {
                const char *resume, *crash, *swaps;
                const char *leaks; /* the first word of each */
        } table[] = {
                { "0:0\n", "0\n", SWAPS, "" },
                { "254:2\n", "0\n", SWAPS, "hibernation " },
                { "0:0\n", "1\n", SWAPS, "kdump " },
                { "", "", "", "" },
                { "0:0\n", "0\n", SWAPS "/dev/zram0   partition\t100\t0\t100\n", "" },
                { "0:0\n", "0\n", SWAPS "/dev/dm-0    partition\t100\t0\t-2\n", "" },
                { "0:0\n", "0\n", SWAPS "/dev/dm-1    partition\t100\t0\t-2\n", "swap " },
                { "0:0\n", "0\n", SWAPS "/dev/dm-2    partition\t100\t0\t-2\n", "" },
                { "0:0\n", "0\n", SWAPS "/dev/dm-3    partition\t100\t0\t-2\n", "swap " },
                { "0:0\n", "0\n", SWAPS "/dev/dm-4    partition\t100\t0\t-2\n", "swap " },
                { "0:0\n", "0\n", SWAPS "/dev/vda2\tpartition\t100\t0\t-2\n", "swap " },
                { "0:0\n", "0\n", SWAPS "/not-there   file\t100\t0\t-2\n", "swap " },
                { "0:0\n", "0\n", SWAPS "/dev/dm-0 partition 1 0 -2\n/dev/vdb partition 1 0 -3\n", "swap " },
                { "8:1\n", "1\n", SWAPS "/dev/vdb partition 1 0 -3\n", "hibernation kdump swap " },
        };
        const char *leaks[LEAKS_MAX];

        assert_int_equal(leaks_find(root, leaks), 0); /* nothing is there */
        put("/sys/class/block/dm-0/dm/uuid", "CRYPT-LUKS2-0123-swap\n");
        put("/sys/class/block/dm-1/dm/uuid", "LVM-0123\n");
        put("/sys/class/block/dm-1/slaves/vda2/size", "1\n");
        /* Debian's installer makes LVM on LUKS. */
        put("/sys/class/block/dm-2/dm/uuid", "LVM-4567\n");
        put("/sys/class/block/dm-2/slaves/dm-0/size", "1\n");
        /* Half of it. */
        put("/sys/class/block/dm-3/slaves/dm-0/size", "1\n");
        put("/sys/class/block/dm-3/slaves/vda2/size", "1\n");
        put("/sys/class/block/dm-4/dm/uuid", "CRYPT-INTEGRITY-89ab\n");
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char found[128] = "";

                put("/sys/power/resume", table[i].resume);
                put("/sys/kernel/kexec_crash_loaded", table[i].crash);
                put("/proc/swaps", table[i].swaps);
                size_t n = leaks_find(root, leaks);
                for (size_t k = 0; k < n; k++)
                        strncat(found, leaks[k], strcspn(leaks[k], " ") + 1);
                assert_string_equal(found, table[i].leaks);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_leaks),
        };

        return cmocka_run_group_tests(tests, make_root, remove_root);
}
