/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "test.h"

#include "discard.h"
#include "parse.h"

#define SEC UINT64_C(1000000)

/* A disk that takes so long for each GiB, and fails at a place. */
typedef struct Disk {
        uint64_t usec_per_gib, fails_at, clock, done, largest;
        unsigned calls;
} Disk;

static int discard(void *userdata, uint64_t start, uint64_t length) {
        Disk *d = userdata;

        assert_int_equal(start, d->done); /* without gaps, and nothing twice */
        d->calls++;
        if (start + length > d->fails_at)
                return -EIO;
        d->done = start + length;
        d->clock += length * d->usec_per_gib / GIB;
        d->largest = length > d->largest ? length : d->largest;
        return 0;
}

static uint64_t now(void *userdata) {
        return ((Disk *) userdata)->clock;
}

static uint64_t run(Disk *d, uint64_t end, uint64_t limit) {
        const Discarder by = { discard, now, d };
        uint64_t at = d->done;
        int r = discard_in_time(&by, &at, end, limit);

        assert_int_equal(at, d->done);
        assert_int_equal(r > 0, at == end);
        return at;
}

static void test_fast(void **state) {
        Disk d = { .fails_at = UINT64_MAX };

        assert_int_equal(run(&d, 0, 2 * SEC), 0);
        assert_int_equal(d.calls, 0);
        assert_int_equal(run(&d, 20 * GIB + 4096, 2 * SEC), 20 * GIB + 4096);
        assert_int_equal(d.largest, GIB);
        assert_true(d.calls < 26);
        d = (Disk) { .fails_at = UINT64_MAX };
        assert_int_equal(run(&d, 4096, 2 * SEC), 4096);
        assert_int_equal(d.calls, 1);
}

/* 20 GiB in 12 s, and slower ones: never beyond the limit, but for a first step that takes longer. */
static void test_slow(void **state) {
        static const uint64_t usec_per_gib[] = {
                12 * SEC / 20, SEC, 3 * SEC, 10 * SEC, 30 * SEC, 100 * SEC
        };

        for (size_t i = 0; i < ELEMENTSOF(usec_per_gib); i++) {
                Disk d = { .usec_per_gib = usec_per_gib[i], .fails_at = UINT64_MAX };
                uint64_t first = 128 * MIB * usec_per_gib[i] / GIB, limit = 2 * SEC;

                assert_true(run(&d, 20 * GIB, limit) < 20 * GIB);
                assert_true(d.clock <= (first > limit ? first : limit));
                assert_true(d.clock >= limit / 4);
                /* Each time some more, until all is done. */
                for (unsigned n = 0; n < 2000 && d.done < 20 * GIB; n++)
                        (void) run(&d, 20 * GIB, limit);
                assert_int_equal(d.done, 20 * GIB);
        }
}

static void test_error(void **state) {
        Disk d = { .fails_at = 3 * GIB };

        assert_true(run(&d, 20 * GIB, 2 * SEC) <= 3 * GIB);
        d = (Disk) {};
        assert_int_equal(run(&d, 20 * GIB, 2 * SEC), 0);
        assert_int_equal(d.calls, 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_fast),
                cmocka_unit_test(test_slow),
                cmocka_unit_test(test_error),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
