/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "test.h"

#include "integrity.h"
#include "parse.h"
#include "tags.h"

/* Bytes of a disk that have tags in a machine with as many MiB of RAM, free RAM, and RAM that is in a
 * tmpfs. */
static uint64_t size_of(uint64_t total, uint64_t available, uint64_t shared) {
        _cleanup_free_ char *text = NULL;

        assert_true(asprintf(&text,
                             "MemTotal:       %8llu kB\nMemFree:        %8llu kB\nMemAvailable:   %8llu kB\n"
                             "Shmem:          %8llu kB\nShmemHugePages:        0 kB\n",
                             (unsigned long long) total * 1024, (unsigned long long) available * 512,
                             (unsigned long long) available * 1024, (unsigned long long) shared * 1024) > 0);
        return integrity_size(tags_room(text));
}

/* What all tags take, if none can be compressed. */
static uint64_t cost(uint64_t size) {
        return (size / 256 + MIB) / 4096 * (4096 + 128);
}

static void test_room(void **state) {
        static const struct {
                uint64_t total, available, shared;
                uint64_t gib_min, gib_max;
        } table[] = {
                { 480, 380, 0, 17, 19 },         /* early in a VM of 512 MiB */
                { 985, 830, 0, 64, 69 },         /* of 1 GiB */
                { 985, 770, 60, 64, 69 },        /* with an initrd in a tmpfs */
                { 1980, 1780, 0, 170, 182 },     /* of 2 GiB */
                { 3950, 3700, 0, 400, 425 },     /* of 4 GiB */
                { 64000, 63000, 0, 7400, 7800 }, /* of 64 GiB: half of it, less the reserve */
                { 1000, 1000, 500, 120, 124 },   /* and not more than half */
                { 1980, 400, 0, 28, 31 },        /* a renewal while programs have the RAM: a sixteenth */
                { 1980, 0, 0, 28, 31 },          { 128, 60, 0, 1, 2 }, { 0, 0, 0, 0, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                uint64_t size = size_of(table[i].total, table[i].available, table[i].shared);
                assert_true(size >= table[i].gib_min * GIB && size <= table[i].gib_max * GIB);
                assert_int_equal(size % MIB, 0);
                if (size > 0)
                        assert_true(cost(size) <= table[i].total * MIB / 2);
        }
        assert_int_equal(tags_room(""), 0);
        assert_int_equal(integrity_size(MIB), 0);
}

/* A tmpfs of half of the RAM has room beside, with the reserve. */
static void test_beside_tmpfs(void **state) {
        for (uint64_t total = 512; total <= 65536; total *= 2)
                for (uint64_t shared = 0; shared <= total / 2; shared += total / 8) {
                        uint64_t available = total * 15 / 16 - shared;
                        uint64_t size = size_of(total, available, shared);
                        assert_true(cost(size) + total / 2 * MIB - shared * MIB + 63 * MIB <=
                                            available * MIB ||
                                    cost(size) <= total * MIB / 16);
                }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_room),
                cmocka_unit_test(test_beside_tmpfs),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
