/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "root.h"

#include "leaks.h"

#define SWAPS "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

/* Which swap is in the clear is in test-swap.c. */
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
                { "0:0\n", "0\n", SWAPS "/dev/vda2\tpartition\t100\t0\t-2\n", "swap " },
                { "8:1\n", "1\n", SWAPS "/dev/vda2 partition 1 0 -3\n", "hibernation kdump swap " },
        };
        const char *leaks[LEAKS_MAX];

        assert_int_equal(leaks_find(root, leaks), 0); /* nothing is there */
        put_device("virtual/zram0", NULL, NULL);
        put_device("pci/vda", NULL, NULL);
        put_device("pci/vda/vda2", "partition", "2\n");
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

#define POOL "30 1 0:50 / /run/ccvm-scratch/pool rw,nosuid,nodev - "

static void test_pool(void **state) {
        static const struct {
                const char *mount, *swaps;
                bool leaks;
        } table[] = {
                { POOL "tmpfs ccvm-scratch rw,size=1k\n", SWAPS "/dev/vdb partition 1 0 -3\n", true },
                { POOL "tmpfs ccvm-scratch rw,size=1k,noswap\n", SWAPS "/dev/vdb partition 1 0 -3\n",
                  false },
                { POOL "tmpfs ccvm-scratch rw,size=1k\n", SWAPS "/dev/dm-0 partition 1 0 -3\n", false },
                { POOL "tmpfs ccvm-scratch rw,size=1k\n", SWAPS, false },
                { POOL "ext4 /dev/mapper/ccvm-scratch rw\n", SWAPS "/dev/vdb partition 1 0 -3\n", false },
                { "", SWAPS "/dev/vdb partition 1 0 -3\n", false },
        };

        put("/sys/class/block/dm-0/dm/uuid", "CRYPT-LUKS2-0123-swap\n");
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                put("/proc/self/mountinfo", table[i].mount);
                put("/proc/swaps", table[i].swaps);
                assert_int_equal(leaks_find_pool(root) != NULL, table[i].leaks);
        }
}

static void test_clone(void **state) {
        assert_non_null(leaks_find_clone(root));
        put("/sys/bus/acpi/drivers/vmgenid/uevent", ""); /* a driver without a device */
        assert_non_null(leaks_find_clone(root));
        put("/sys/bus/acpi/drivers/vmgenid/QEMUVGID:00", "");
        assert_null(leaks_find_clone(root));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_leaks),
                cmocka_unit_test(test_pool),
                cmocka_unit_test(test_clone),
        };

        return cmocka_run_group_tests(tests, make_root, remove_root);
}
