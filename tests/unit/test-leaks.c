/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "root.h"

#include "leaks.h"

#define SWAPS "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

/* btrfs has a number that is of no device. */
#define MOUNTINFO                                                   \
        "20 1 254:2 / /ext4 rw - ext4 /dev/vda2 rw\n"               \
        "21 1 252:0 / /luks rw - ext4 /dev/mapper/luks-swap rw\n"   \
        "22 1 0:40 /@ /btrfs rw - btrfs /dev/mapper/luks-swap rw\n" \
        "23 1 0:41 / /clear rw - btrfs /dev/vda2 rw\n"              \
        "24 1 0:42 / /mapped rw - btrfs /dev/mapper/vg-root rw\n"   \
        "25 1 0:43 / /gone rw - btrfs /dev/mapper/not-there rw\n"

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
                { "0:0\n", "0\n", SWAPS "/no-mount    file\t100\t0\t-2\n", "swap " },
                { "0:0\n", "0\n", SWAPS "/ext4/swap   file\t100\t0\t-2\n", "swap " },
                { "0:0\n", "0\n", SWAPS "/luks/a/swap file\t100\t0\t-2\n", "" },
                { "0:0\n", "0\n", SWAPS "/btrfs/swap  file\t100\t0\t-2\n", "" },
                { "0:0\n", "0\n", SWAPS "/clear/swap  file\t100\t0\t-2\n", "swap " },
                { "0:0\n", "0\n", SWAPS "/mapped/swap file\t100\t0\t-2\n", "swap " },
                { "0:0\n", "0\n", SWAPS "/gone/swap   file\t100\t0\t-2\n", "swap " },
                { "0:0\n", "0\n", SWAPS "/dev/zram1   partition\t100\t0\t100\n", "" },
                { "0:0\n", "0\n", SWAPS "/dev/zram2   partition\t100\t0\t100\n", "swap " },
                { "0:0\n", "0\n", SWAPS "/dev/zram3   partition\t100\t0\t100\n", "" },
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
        put("/sys/class/block/dm-0/dm/name", "luks-swap\n");
        put("/sys/class/block/dm-1/dm/name", "vg-root\n");
        put("/sys/dev/block/252:0/dm/uuid", "CRYPT-LUKS2-0123-swap\n");
        put("/sys/dev/block/254:2/size", "1\n");
        put("/sys/class/block/zram1/backing_dev", "none\n");
        put("/sys/class/block/zram2/backing_dev", "/dev/vda3\n");
        put("/sys/class/block/zram3/backing_dev", "/dev/dm-0\n");
        put("/proc/self/mountinfo", MOUNTINFO);
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

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_leaks),
                cmocka_unit_test(test_pool),
        };

        return cmocka_run_group_tests(tests, make_root, remove_root);
}
