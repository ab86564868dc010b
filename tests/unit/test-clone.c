/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "test.h"

#include "clone.h"

static void test_record(void **state) {
        static const struct {
                const char *record;
                bool is;
        } table[] = {
                { "5,1021,12276120,-;random: crng reseeded due to virtual machine fork\n", true },
                { "5,1,12276120,-,caller=T1;random: crng reseeded due to virtual machine fork\n S=x\n",
                  true },
                { "5,1022,12276121,-;random: crng init done\n", false },
                /* What a program writes has the facility of its own. */
                { "13,1023,12276122,-;random: crng reseeded due to virtual machine fork\n", false },
                { "5,1024,12276123,-;x random: crng reseeded due to virtual machine fork\n", false },
                { "random: crng reseeded due to virtual machine fork", false },
                { "5", false },
                { "", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_int_equal(clone_is_record(table[i].record), table[i].is);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_record),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
