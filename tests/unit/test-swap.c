/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "root.h"

#include "swap.h"

#define SWAPS "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

/* btrfs has a number that is of no device. Of two on one target the later one counts, of two targets the
 * longer. */
#define MOUNTINFO                                                              \
        "19 1 0:39 / / rw shared:1 - tmpfs tmpfs rw\n"                         \
        "20 1 254:2 / /ext4 rw - ext4 /dev/vda2 rw\n"                          \
        "21 1 252:0 / /luks rw shared:2 master:3 - ext4 /dev/mapper/luks rw\n" \
        "22 1 0:40 /@ /btrfs rw - btrfs /dev/mapper/luks rw\n"                 \
        "23 1 0:41 / /clear rw - btrfs /dev/vda2 rw\n"                         \
        "24 1 0:42 / /mapped rw - btrfs /dev/mapper/vg-root rw\n"              \
        "25 1 0:43 / /gone rw - btrfs /dev/mapper/not-there rw\n"              \
        "26 1 252:0 / /two rw - ext4 /dev/mapper/luks rw\n"                    \
        "27 1 254:2 / /two rw - ext4 /dev/vda2 rw\n"                           \
        "28 1 252:0 / /clear/not rw - ext4 /dev/mapper/luks rw\n"              \
        "29 1 252:0 / /clear\\040too rw - ext4 /dev/mapper/luks rw\n"

static void make_devices(void) {
        put_device("pci/vda", NULL, NULL);
        put_device("pci/vda/vda2", "partition", "2\n");
        put_device("pci/vda/vda3", "partition", "3\n");
        put_device("virtual/dm-0", "dm/uuid", "CRYPT-LUKS2-0123-swap\n");
        put("/sys/devices/virtual/dm-0/dm/name", "luks\n");
        put_device("virtual/dm-1", "dm/uuid", "LVM-0123\n");
        put("/sys/devices/virtual/dm-1/dm/name", "vg-root\n");
        /* LVM on LUKS, as Debian's installer makes it; half of it; and with another disk instead of that. */
        put_device("virtual/dm-2", "dm/uuid", "LVM-4567\n");
        put_device("virtual/dm-3", NULL, NULL);
        put_device("virtual/dm-4", "dm/uuid", "LVM-89ab\n");
        /* What only checks, and a RAID, in which each partition is as the whole. */
        put_device("virtual/dm-5", "dm/uuid", "CRYPT-INTEGRITY-89ab\n");
        put_device("virtual/dm-6", "dm/uuid", "CRYPT-VERITY-cdef\n");
        put_device("virtual/dm-7", "dm/uuid", "CRYPT-PLAIN-x\n");
        put_device("virtual/md0", NULL, NULL);
        put_device("virtual/md0/md0p1", "partition", "1\n");
        /* RAM, and RAM that goes to a disk in part. */
        put_device("virtual/ram0", NULL, NULL);
        put_device("virtual/zram0", NULL, NULL);
        put_device("virtual/zram1", "backing_dev", "none\n");
        put_device("virtual/zram2", "backing_dev", "/dev/vda3\n");
        put_device("virtual/zram2/zram2p1", "partition", "1\n");
        put_device("virtual/zram3", "backing_dev", "/dev/dm-0\n");
        put_device("virtual/zram4", "backing_dev", "/dev/mapper/luks\n");
        put_device("virtual/zram5", "backing_dev", "/dev/gone\n");
        put_device("virtual/dm-8", NULL, NULL);
        put_device("virtual/dm-9", NULL, NULL);
        put_device("virtual/loop0", "loop/backing_file", "/ext4/image\n");

        put_below("dm-0", "vda2", true);
        put_below("dm-1", "vda2", true);
        put_below("dm-2", "dm-0", true);
        put_below("dm-3", "dm-0", true);
        put_below("dm-3", "vda2", true);
        put_below("dm-4", "dm-7", false);
        put_below("dm-5", "vda2", true);
        put_below("dm-6", "vda2", true);
        put_below("md0", "dm-0", true);
        put_below("md0", "dm-7", true);
        put_below("dm-8", "zram1", true);
        put_below("dm-9", "dm-9", true); /* for ever */
        put_link("/sys/dev/block/252:0", "/sys/devices/virtual/dm-0");
        put_link("/sys/dev/block/254:2", "/sys/devices/pci/vda/vda2");
}

static void test_swap(void **state) {
        static const struct {
                const char *path;
                bool clear;
        } table[] = {
                { "/dev/zram0", false },
                { "/dev/zram1", false },
                { "/dev/zram2", true },
                { "/dev/zram2p1", true },
                { "/dev/zram3", false },
                { "/dev/zram4", false },
                { "/dev/zram5", true },
                { "/dev/ram0", false },
                { "/dev/vda", true },
                { "/dev/vda2", true },
                { "/dev/nothing", true },
                { "/dev/loop0", true },
                { "/dev/dm-0", false },
                { "/dev/mapper/luks", false },
                { "/dev/mapper/vg-root", true },
                { "/dev/mapper/not-there", true },
                { "/dev/dm-1", true },
                { "/dev/dm-2", false },
                { "/dev/dm-3", true },
                { "/dev/dm-4", true },
                { "/dev/dm-5", true },
                { "/dev/dm-6", true },
                { "/dev/dm-7", false },
                { "/dev/dm-8", false },
                { "/dev/dm-9", true },
                { "/dev/md0", false },
                { "/dev/md0p1", false },
                { "/no-mount", true },
                { "/ext4/swap", true },
                { "/luks/a/swap", false },
                { "/luksa/swap", true },
                { "/btrfs/swap", false },
                { "/clear/swap", true },
                { "/clear/not/swap", false },
                { "/clear\\040too/swap", false },
                { "/luks/swap\\040(deleted)", false },
                { "/mapped/swap", true },
                { "/gone/swap", true },
                { "/two/swap", true },
        };

        assert_null(swap_find_clear(root)); /* nothing is there */
        make_devices();
        put("/proc/self/mountinfo", MOUNTINFO);
        put("/proc/swaps", SWAPS);
        assert_null(swap_find_clear(root));
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *swaps = NULL, *found = NULL;

                assert_true(asprintf(&swaps, SWAPS "/dev/dm-0 partition 1 0 -2\n%-20s\tfile\t100\t0\t-2\n",
                                     table[i].path) > 0);
                put("/proc/swaps", swaps);
                found = swap_find_clear(root);
                if (!found != !table[i].clear || (found && !streq(found, table[i].path)))
                        fail_msg("%s: %s", table[i].path, found ?: "nothing");
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_swap),
        };

        return cmocka_run_group_tests(tests, make_root, remove_root);
}
