/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "root.h"

#include "health.h"

/* As the kernel prints them, padded. */
#define MM_STAT "84934656     3437    98304 507478016    98304    20689        0        0        0\n"

static void test_tags(void **state) {
        assert_int_equal(integrity_tag_bytes(root), 0); /* nothing is there */

        put("/sys/block/zram2/mm_stat", MM_STAT);
        put("/run/ccvm-scratch/tags", "zram3");
        assert_int_equal(integrity_tag_bytes(root), 0);
        put("/run/ccvm-scratch/tags", "zram2");
        assert_int_equal(integrity_tag_bytes(root), 98304);
        put("/sys/block/loop1/size", "4096\n");
        put("/run/ccvm-scratch/tags", "loop1");
        assert_int_equal(integrity_tag_bytes(root), 2 * 1024 * 1024);
}

static void test_cpu(void **state) {
        static const struct {
                const char *cpuinfo;
                bool slow;
        } table[] = {
                { "", false },
                { "processor\t: 0\nflags\t\t: fpu sha_ni avx\n", false },
                { "processor\t: 0\nflags\t\t: fpu avx\n", true },
                { "processor\t: 0\nFeatures\t: fp aes sha1 sha2\n", false },
                { "processor\t: 0\nFeatures\t: fp aes sha1\n", true },
                { "processor\t: 0\nisa\t\t: rv64imafdc\n", false },
        };

        assert_false(integrity_is_slow(root));
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                put("/proc/cpuinfo", table[i].cpuinfo);
                assert_int_equal(integrity_is_slow(root), table[i].slow);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tags),
                cmocka_unit_test(test_cpu),
        };

        return cmocka_run_group_tests(tests, make_root, remove_root);
}
