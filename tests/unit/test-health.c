/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "root.h"

#include "health.h"

#define MOUNT "30 1 252:0 / /run/ccvm-scratch/pool rw,nosuid,nodev - ext4 /dev/mapper/ccvm-scratch "

static const Status encrypted = {
        .state = STATE_ENCRYPTED,
        .mapper = (char *) "/dev/mapper/ccvm-scratch",
};

static void test_health(void **state) {
        static const struct {
                const char *path, *text;
                Health health;
        } table[] = {
                { "/proc/self/mountinfo", MOUNT "ro\n", HEALTH_READ_ONLY },
                { "/proc/self/mountinfo", MOUNT "rw,errors=remount-ro,emergency_ro\n", HEALTH_READ_ONLY },
                { "/proc/self/mountinfo", MOUNT "rw,shutdown\n", HEALTH_GONE },
                { "/proc/self/mountinfo", MOUNT "rw\n", HEALTH_OK },
                { "/sys/fs/ext4/dm-0/errors_count", "2\n", HEALTH_ERRORS },
                { "/sys/fs/ext4/dm-0/errors_count", "0\n", HEALTH_OK },
                { "/sys/fs/ext4/dm-0/warning_count", "10\n", HEALTH_ERRORS },
                { "/sys/fs/ext4/dm-0/warning_count", "0\n", HEALTH_OK },
                { "/sys/fs/btrfs/other/devinfo/1/error_stats", "write_errs 7\n", HEALTH_OK },
                { "/sys/fs/btrfs/ours/devinfo/1/error_stats", "write_errs 0\nflush_errs 1\n",
                  HEALTH_ERRORS },
                { "/sys/fs/btrfs/ours/devinfo/1/error_stats", "write_errs 0\nflush_errs 0\n", HEALTH_OK },
                { "/run/ccvm-scratch/tags", "zram2", HEALTH_OK },
                { "/sys/block/zram2/io_stat", "       0        0        0        3\n", HEALTH_OK },
                { "/sys/block/zram2/io_stat", "       0        1        0        3\n", HEALTH_ERRORS },
                { "/sys/block/zram2/io_stat", "", HEALTH_OK },
                { "/run/ccvm-scratch/mismatches", "1\n", HEALTH_ERRORS },
        };

        assert_int_equal(health_read(root, &encrypted), HEALTH_GONE); /* nothing is there */
        assert_int_equal(health_read(root, &(Status) { .state = STATE_TMPFS }), HEALTH_OK);

        /* dm-crypt over dm-integrity, whose tags are in RAM. */
        put_device("pci/vdb", NULL, NULL);
        put_device("virtual/zram0", NULL, NULL);
        put_device("virtual/dm-0", "dm/name", "ccvm-scratch\n");
        put_device("virtual/dm-1", "dm/name", "ccvm-scratch-integrity\n");
        put_link("/sys/fs/btrfs/ours/devices/dm-0", "/sys/devices/virtual/dm-0");
        assert_int_equal(health_read(root, &encrypted), HEALTH_GONE); /* a mapping on nothing */
        put_below("dm-0", "dm-1", true);
        put_below("dm-1", "zram0", true);
        assert_int_equal(health_read(root, &encrypted), HEALTH_OK);
        put_below("dm-1", "vdb", false);
        assert_int_equal(health_read(root, &encrypted), HEALTH_GONE); /* another disk of that name */
        put("/sys/devices/pci/vdb/holders/dm-1", "");
        assert_int_equal(health_read(root, &encrypted), HEALTH_OK);

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                put(table[i].path, table[i].text);
                Health h = health_read(root, &encrypted);
                if (h != table[i].health)
                        fail_msg("%s with '%s': %s", table[i].path, table[i].text, health_to_string(h));
        }

        put_link("/sys/devices/virtual/dm-1/slaves/vdc", "/sys/devices/pci/vdc");
        assert_int_equal(health_read(root, &encrypted), HEALTH_GONE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_health),
        };

        return cmocka_run_group_tests(tests, make_root, remove_root);
}
