/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "test.h"

#include <sys/sysmacros.h>

#include "table.h"

#define KEY ":64:logon:cryptsetup:0e1f9e0c-5a2b-4d0e-8f9d-2f1d3c4b5a69-d0"

static void test_rejects(void **state) {
        static const char *const table[] = {
                "",
                " ",
                "aes-xts-plain64",
                "aes-xts-plain64 " KEY,
                "aes-xts-plain64 " KEY " 0",
                "aes-xts-plain64 " KEY " 0 254:16",
                "aes-xts-plain64 " KEY " x 254:16 2048",
                "aes-xts-plain64 " KEY " -1 254:16 2048",
                "aes-xts-plain64 " KEY " 0 25416 2048",
                "aes-xts-plain64 " KEY " 0 /dev/vdb 2048",
                "aes-xts-plain64 " KEY " 0 254: 2048",
                "aes-xts-plain64 " KEY " 0 254:16 2048 1",
                "aes-xts-plain64 " KEY " 0 254:16 2048 1 sector_size:",
                "aes-xts-plain64 " KEY " 0 254:16 2048 1 sector_size:8192",
                "aes-xts-plain64 " KEY " 0 254:16 2048 1 allow_discards sector_size:4096",
                "aes-xts-plain64 " KEY " 0 254:16 2048 2 allow_discards same_cpu_crypt",
                "aes-xts-plain64 " KEY " 0 254:16 2048 2 iv_large_sectors sector_size:4096",
                "aes-xts-plain64 " KEY " 0 254:16 2048 0 sector_size:4096",
                "aes-xts-plain64 " KEY " 0 254:16 2048 99 sector_size:4096",
                "aes-xts-plain64 " KEY " 0 254:16 2048 99",
                "aes-xts-plain64 " KEY " 0 254:16 2048 x",
                "aes-xts-plain64 :64 0 254:16 2048",
                "aes-xts-plain64 ::logon:x 0 254:16 2048",
                "aes-xts-plain64 :99999:logon:x 0 254:16 2048",
                "aes-xts-plain64 :123456789:logon:x 0 254:16 2048",
                "aes-xts-plain64 0011223 0 254:16 2048",
                "aes-xts-plain64 nothex00 0 254:16 2048",
                "a-name-that-is-far-too-long-for-any-cipher-that-the-kernel-will-ever-have " KEY
                " 0 254:16 2048",
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                CryptTable t;
                assert_int_equal(table_parse(table[i], &t), -EINVAL);
        }
}

static const CryptTable wanted = {
        .length = 41941,
        .cipher = "aes-xts-plain64",
        .key_size = 512,
        .offset = 2048,
        .sector_size = 4096,
        .allow_discards = true,
};

static void test_accepts(void **state) {
        CryptTable t, w = wanted;

        w.device = makedev(254, 16);
        assert_int_equal(
                table_parse("aes-xts-plain64 " KEY " 0 254:16 2048 2 allow_discards sector_size:4096", &t),
                0);
        t.length = w.length;
        assert_null(table_difference(&t, &w));

        assert_int_equal(table_parse("cipher_null-ecb 00112233445566778899aabbccddeeff 8 8:0 0", &t), 0);
        assert_string_equal(t.cipher, "cipher_null-ecb");
        assert_int_equal(t.key_size, 128);
        assert_int_equal(t.iv_offset, 8);
        assert_int_equal(t.sector_size, 512);
        assert_false(t.allow_discards);

        assert_int_equal(table_parse("cipher_null-ecb - 0 8:0 0", &t), -EINVAL);
}

/* Each property alone must be told; a comparison that forgets one would let a downgrade through. */
static void test_difference(void **state) {
        CryptTable t[10];
        static const char *const names[] = {
                "start",  "length",      "cipher",      "key size", "IV offset",
                "device", "data offset", "sector size", "tag size", "discards",
        };

        for (size_t i = 0; i < ELEMENTSOF(t); i++)
                t[i] = wanted;
        t[0].start++;
        t[1].length--;
        strcpy(t[2].cipher, "cipher_null-ecb");
        t[3].key_size = 256;
        t[4].iv_offset = 1;
        t[5].device = makedev(1, 0);
        t[6].offset = 0;
        t[7].sector_size = 512;
        t[8].tag_size = 32;
        t[9].allow_discards = false;
        for (size_t i = 0; i < ELEMENTSOF(t); i++)
                assert_string_equal(table_difference(&t[i], &wanted), names[i]);
        assert_null(table_difference(&wanted, &wanted));
}

static void test_authenticated(void **state) {
        CryptTable t;

        assert_int_equal(table_parse("capi:authenc(hmac(sha256),xts(aes))-plain64 :96:logon:x 0 254:0 0 2 "
                                     "integrity:32:aead sector_size:4096",
                                     &t),
                         0);
        assert_int_equal(t.key_size, 768);
        assert_int_equal(t.tag_size, 32);
        assert_int_equal(table_parse("aes-xts-plain64 - 0 8:0 0 1 integrity:32:none", &t), -EINVAL);
        assert_int_equal(table_parse("aes-xts-plain64 " KEY " 0 8:0 0 1 integrity:32:none", &t), -EINVAL);
        assert_int_equal(table_parse("aes-xts-plain64 " KEY " 0 8:0 0 1 integrity::aead", &t), -EINVAL);
        assert_int_equal(table_parse("aes-xts-plain64 " KEY " 0 8:0 0 1 integrity:32", &t), -EINVAL);
}

static void test_integrity(void **state) {
        static const char *const rejected[] = {
                "",
                "254:16",
                "254:16 2048",
                "254:16 2048 32",
                "254:16 x 32 D",
                "254 2048 32 D",
                "254:16 2048 -1 D",
        };
        IntegrityTable t;

        for (size_t i = 0; i < ELEMENTSOF(rejected); i++)
                assert_int_equal(table_parse_integrity(rejected[i], &t), -EINVAL);
        assert_int_equal(table_parse_integrity("254:16 2048 32 D 1 block_size:4096", &t), 0);
        assert_int_equal(t.device, makedev(254, 16));
        assert_int_equal(t.offset, 2048);
        assert_int_equal(t.tag_size, 32);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rejects),    cmocka_unit_test(test_accepts),
                cmocka_unit_test(test_difference), cmocka_unit_test(test_authenticated),
                cmocka_unit_test(test_integrity),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
