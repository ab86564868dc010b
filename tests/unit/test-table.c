/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "test.h"

#include "table.h"

#define KEY ":64:logon:cryptsetup:0e1f9e0c-5a2b-4d0e-8f9d-2f1d3c4b5a69-d0"
#define HEX_16 "0123456789abcdef"
#define HEX_64 HEX_16 HEX_16 HEX_16 HEX_16
#define HEX_128 HEX_64 HEX_64

static const Table crypt_4096 = {
        .type = "crypt",
        .length = 41941,
        .key_size = 64,
        .positional = { "aes-xts-plain64", TABLE_KEY, "0", "254:16", "2048" },
        .options = { "sector_size:4096", "allow_discards" },
};

static const Table crypt_512 = {
        .type = "crypt",
        .length = 41941,
        .key_size = 64,
        .positional = { "aes-xts-plain64", TABLE_KEY, "0", "254:16", "2048" },
};

static const char *compare(const Table *wanted, const char *params) {
        const Target t = { .length = wanted->length, .type = wanted->type, .params = params };

        return table_difference(wanted, &t);
}

/* As the kernel prints them. */
static void test_accepts(void **state) {
        static const struct {
                const Table *wanted;
                const char *params;
        } table[] = {
                { &crypt_4096, "aes-xts-plain64 " KEY " 0 254:16 2048 2 allow_discards sector_size:4096" },
                { &crypt_4096, "aes-xts-plain64 " KEY " 0 254:16 2048 2 sector_size:4096 allow_discards" },
                { &crypt_4096,
                  "aes-xts-plain64 " HEX_128 " 0 254:16 2048 2 sector_size:4096 allow_discards" },
                { &crypt_512, "aes-xts-plain64 " KEY " 0 254:16 2048" },
                { &crypt_512, "aes-xts-plain64 " KEY " 0 254:16 2048 0" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_null(compare(table[i].wanted, table[i].params));
}

/* Each word alone must be told; a comparison that forgets one would let a downgrade through. */
static void test_differences(void **state) {
        static const struct {
                const char *params, *difference;
        } table[] = {
                { "", "aes-xts-plain64" },
                { " ", "aes-xts-plain64" },
                { "cipher_null-ecb " KEY " 0 254:16 2048 2 allow_discards sector_size:4096",
                  "aes-xts-plain64" },
                { "aes-xts-plain6 " KEY " 0 254:16 2048 2 allow_discards sector_size:4096",
                  "aes-xts-plain64" },
                { "aes-xts-plain64be " KEY " 0 254:16 2048 2 allow_discards sector_size:4096",
                  "aes-xts-plain64" },
                { "aes-xts-plain64", TABLE_KEY },
                { "aes-xts-plain64 - 0 254:16 2048 2 allow_discards sector_size:4096", TABLE_KEY },
                { "aes-xts-plain64 :64 0 254:16 2048 2 allow_discards sector_size:4096", TABLE_KEY },
                { "aes-xts-plain64 :64: 0 254:16 2048 2 allow_discards sector_size:4096", TABLE_KEY },
                { "aes-xts-plain64 :32:logon:x 0 254:16 2048 2 allow_discards sector_size:4096", TABLE_KEY },
                { "aes-xts-plain64 :640:logon:x 0 254:16 2048 2 allow_discards sector_size:4096",
                  TABLE_KEY },
                { "aes-xts-plain64 " HEX_64 " 0 254:16 2048 2 allow_discards sector_size:4096", TABLE_KEY },
                { "aes-xts-plain64 " HEX_128 "00 0 254:16 2048 2 allow_discards sector_size:4096",
                  TABLE_KEY },
                { "aes-xts-plain64 x" HEX_64 HEX_16 HEX_16 HEX_16 "0123456789abcde 0 254:16 2048",
                  TABLE_KEY },
                { "aes-xts-plain64 " KEY, "0" },
                { "aes-xts-plain64 " KEY " 1 254:16 2048 2 allow_discards sector_size:4096", "0" },
                { "aes-xts-plain64 " KEY " 00 254:16 2048 2 allow_discards sector_size:4096", "0" },
                { "aes-xts-plain64 " KEY " 0", "254:16" },
                { "aes-xts-plain64 " KEY " 0 254:1 2048 2 allow_discards sector_size:4096", "254:16" },
                { "aes-xts-plain64 " KEY " 0 /dev/vdb 2048 2 allow_discards sector_size:4096", "254:16" },
                { "aes-xts-plain64 " KEY " 0 254:16", "2048" },
                { "aes-xts-plain64 " KEY " 0 254:16 0 2 allow_discards sector_size:4096", "2048" },
                { "aes-xts-plain64 " KEY " 0 254:16 2048", "sector_size:4096" },
                { "aes-xts-plain64 " KEY " 0 254:16 2048 0", "sector_size:4096" },
                { "aes-xts-plain64 " KEY " 0 254:16 2048 1 allow_discards", "sector_size:4096" },
                { "aes-xts-plain64 " KEY " 0 254:16 2048 1 sector_size:4096", "allow_discards" },
                { "aes-xts-plain64 " KEY " 0 254:16 2048 2 allow_discards sector_size:512",
                  "sector_size:4096" },
                { "aes-xts-plain64 " KEY " 0 254:16 2048 2 allow_discards", "sector_size:4096" },
                { "aes-xts-plain64 " KEY " 0 254:16 2048 1 allow_discards sector_size:4096", "options" },
                { "aes-xts-plain64 " KEY " 0 254:16 2048 3 allow_discards sector_size:4096", "options" },
                { "aes-xts-plain64 " KEY " 0 254:16 2048 x allow_discards sector_size:4096", "options" },
                { "aes-xts-plain64 " KEY " 0 254:16 2048 3 allow_discards allow_discards sector_size:4096",
                  "options" },
                { "aes-xts-plain64 " KEY " 0 254:16 2048 02 allow_discards sector_size:4096", "options" },
                { "aes-xts-plain64 " KEY " 0 254:16 2048 allow_discards sector_size:4096",
                  "allow_discards" },
                { "aes-xts-plain64 " KEY " 0 254:16 2048 3 allow_discards sector_size:4096 same_cpu_crypt",
                  "options" },
                { "aes-xts-plain64 " KEY " 0 254:16 2048 3 iv_large_sectors allow_discards sector_size:4096",
                  "options" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_string_equal(compare(&crypt_4096, table[i].params), table[i].difference);
        assert_string_equal(compare(&crypt_512, "aes-xts-plain64 " KEY " 0 254:16 2048 1 allow_discards"),
                            "options");
}

static void test_target(void **state) {
        Target t = { .length = crypt_512.length,
                     .type = "crypt",
                     .params = "aes-xts-plain64 " KEY " 0 254:16 2048" };

        assert_null(table_difference(&crypt_512, &t));
        t.start = 1;
        assert_string_equal(table_difference(&crypt_512, &t), "start");
        t.start = 0;
        t.length--;
        assert_string_equal(table_difference(&crypt_512, &t), "length");
        t.type = "linear";
        assert_string_equal(table_difference(&crypt_512, &t), "crypt");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_accepts),
                cmocka_unit_test(test_differences),
                cmocka_unit_test(test_target),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
