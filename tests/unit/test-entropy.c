/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/sysmacros.h>

#include "root.h"

#include "entropy.h"
#include "parse.h"

/* What entropy_write() writes, and how much; freed by the caller. */
static char *collect(const Device *disk, size_t *ret_size) {
        char *text = NULL;
        FILE *f = open_memstream(&text, ret_size);

        assert_non_null(f);
        assert_int_equal(entropy_write(f, root, disk), 0);
        assert_int_equal(fclose(f), 0);
        return text;
}

static void test_all(void **state) {
        static const char *const words[] = { "1795945200\n",       "5a2f1c1e-uuid\n",
                                             "serial-7\n",         "52:54:00:12:34:56\n",
                                             "xen-uuid\n",         "../../devices/pci0/vdb",
                                             "what the host gives" };
        const Device disk = { .number = makedev(254, 16), .size = 20 * GIB };
        _cleanup_free_ char *nothing = NULL, *all = NULL, *again = NULL, *link = NULL;
        size_t size, size_all, size_again;

        /* Nothing is there: the clocks, and the size of the disk. */
        nothing = collect(&disk, &size);
        assert_int_equal(size, 3 * sizeof(struct timespec) + sizeof(uint64_t));

        put("/sys/class/rtc/rtc0/since_epoch", words[0]);
        put("/sys/class/dmi/id/product_uuid", words[1]);
        put("/sys/class/dmi/id/product_serial", words[2]);
        put("/sys/class/net/eth0/address", words[3]);
        put("/sys/class/net/lo/address", "00:00:00:00:00:00\n");
        put("/sys/hypervisor/uuid", words[4]);
        put("/sys/dev/block/x", "");
        put("/dev/hwrng", words[6]);
        assert_true(asprintf(&link, "%s/sys/dev/block/254:16", root) > 0);
        assert_int_equal(symlink(words[5], link), 0);
        all = collect(&disk, &size_all);
        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                assert_non_null(memmem(all, size_all, words[i], strlen(words[i])));
        assert_non_null(memmem(all, size_all, &disk.size, sizeof(disk.size)));

        /* The clocks go on. */
        again = collect(&disk, &size_again);
        assert_int_equal(size_again, size_all);
        assert_memory_not_equal(again, all, size_all);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all),
        };

        return cmocka_run_group_tests(tests, make_root, remove_root);
}
