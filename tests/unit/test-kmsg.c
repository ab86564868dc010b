/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/socket.h>

#include "test.h"

#include "kmsg.h"

#define FORK "random: crng reseeded due to virtual machine fork"
#define KEY "ccvm-scratch-setup: A new volume key is made."

static void test_record(void **state) {
        static const struct {
                const char *record;
                KmsgRecord is;
        } table[] = {
                { "5,1021,12276120,-;" FORK "\n", KMSG_FORK },
                { "5,1,12276120,-,caller=T1;" FORK "\n S=x\n", KMSG_FORK },
                { "5,1022,12276121,-;random: crng init done\n", KMSG_OTHER },
                /* What a program writes has the facility of its own. */
                { "13,1023,12276122,-;" FORK "\n", KMSG_OTHER },
                { "5,1024,12276123,-;x " FORK "\n", KMSG_OTHER },
                { FORK, KMSG_OTHER },
                { "15,1025,12276124,-;" KEY "\n", KMSG_KEY },
                { "15,1025,12276124,-,caller=T1;" KEY "\n", KMSG_KEY },
                { "7,1025,12276124,-;" KEY "\n", KMSG_OTHER },
                { "15,1025,12276124,-;x " KEY "\n", KMSG_OTHER },
                { KEY, KMSG_OTHER },
                { "5", KMSG_OTHER },
                { "", KMSG_OTHER },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_int_equal(kmsg_parse_record(table[i].record), table[i].is);
}

/* The kernel gives a record a read(2), as these messages of a socket, which fails with EAGAIN at their
 * end. */
static bool read_records(const char *const *records, bool cloned) {
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
        for (; *records; records++)
                assert_true(write(fds[1], *records, strlen(*records)) > 0);
        assert_int_equal(kmsg_read(fds[0], &cloned), 0);
        close(fds[0]);
        close(fds[1]);
        return cloned;
}

#define RECORDS(...) ((const char *const[]) { __VA_ARGS__, NULL })

static void test_order(void **state) {
        static const char fork[] = "5,2,3,-;" FORK "\n", key[] = "15,4,5,-;" KEY "\n",
                          other[] = "6,1,1,-;x\n";

        assert_false(read_records(RECORDS(NULL), false));
        assert_false(read_records(RECORDS(other), false));
        assert_true(read_records(RECORDS(other), true));
        assert_true(read_records(RECORDS(key, other, fork, other), false));
        assert_false(read_records(RECORDS(fork, other, key, other), false));
        assert_false(read_records(RECORDS(key), true));
        assert_true(read_records(RECORDS(key, fork, key, fork), false));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_record),
                cmocka_unit_test(test_order),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
