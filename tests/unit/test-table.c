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
        CryptTable t[9];
        static const char *const names[] = {
                "start",  "length",      "cipher",      "key size", "IV offset",
                "device", "data offset", "sector size", "discards",
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
        t[8].allow_discards = false;
        for (size_t i = 0; i < ELEMENTSOF(t); i++)
                assert_string_equal(table_difference(&t[i], &wanted), names[i]);
        assert_null(table_difference(&wanted, &wanted));
}

/* As the kernel prints it; only the key is longer. */
#define INTEGRITY_OPTIONS                                                       \
        "meta_device:252:4 block_size:4096 allow_discards journal_sectors:128 " \
        "interleave_sectors:1 buffer_sectors:128 fix_padding fix_hmac internal_hash:hmac(sha256):"

static void test_integrity_rejects(void **state) {
        static const char *const table[] = {
                "",
                "254:16",
                "254:16 2048",
                "254:16 2048 32",
                "254:16 2048 32 D",
                "254:16 2048 32 D 1",
                "254:16 2048 32 D x block_size:4096",
                "254:16 2048 32 DD 1 block_size:4096",
                "254:16 2048 32 D 1 block_size:8192",
                "254:16 2048 32 D 1 block_size:4096 more",
                "254:16 2048 32 D 1 recalculate",
                "254:16 2048 32 D 1 reset_recalculate",
                "254:16 2048 32 D 1 legacy_recalculate",
                "254:16 2048 32 D 1 journal_crypt:ctr(aes):00",
                "254:16 2048 32 D 1 meta_device:252",
                "254:16 2048 32 D 1 internal_hash:sha256",
                "254:16 2048 32 D 1 internal_hash:hmac(sha256):",
                "254:16 2048 32 D 1 internal_hash:hmac(sha256):0",
                "254:16 2048 32 D 1 internal_hash:hmac(sha256)::32:logon:x",
                "254:16 2048 32 D 1 internal_hash:a-name-that-is-far-too-long-for-a-hash:00",
                "254:16 x 32 D 0",
                "254 2048 32 D 0",
                "254:16 2048 -1 D 0",
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                IntegrityTable t;
                assert_int_equal(table_parse_integrity(table[i], &t), -EINVAL);
        }
}

static void test_integrity(void **state) {
        IntegrityTable wanted_table = {
                .tag_size = 16,
                .mode = 'D',
                .sector_size = 4096,
                .hash = "hmac(sha256)",
                .key_size = 32,
                .allow_discards = true,
        };
        static const char *const names[] = {
                "start",
                "length",
                "device",
                "data offset",
                "tag size",
                "mode",
                "device for the tags",
                "sector size",
                "hash",
                "key size",
                "discards",
        };
        IntegrityTable t, other[11];

        wanted_table.device = makedev(254, 16);
        wanted_table.meta_device = makedev(252, 4);
        assert_int_equal(table_parse_integrity("254:16 0 16 D 8 " INTEGRITY_OPTIONS "00112233", &t),
                         -EINVAL);
        assert_int_equal(table_parse_integrity("254:16 0 16 D 9 " INTEGRITY_OPTIONS "00112233", &t), 0);
        assert_null(table_integrity_difference(&t, &wanted_table));
        /* Linux 7.2 can have them with a checksum each, which our tags have not. */
        assert_int_equal(table_parse_integrity("254:16 0 16 D 7 meta_device:252:4 block_size:4096 "
                                               "allow_discards_keyed interleave_sectors:1 "
                                               "buffer_sectors:128 fix_hmac "
                                               "internal_hash:hmac(sha256):00112233",
                                               &t),
                         -EINVAL);

        for (size_t i = 0; i < ELEMENTSOF(other); i++)
                other[i] = wanted_table;
        other[0].start++;
        other[1].length++;
        other[2].device = 0;
        other[3].offset = 8;
        other[4].tag_size = 4;
        other[5].mode = 'J';
        other[6].meta_device = 0;
        other[7].sector_size = 512;
        strcpy(other[8].hash, "crc32c");
        other[9].key_size = 0;
        other[10].allow_discards = false;
        for (size_t i = 0; i < ELEMENTSOF(other); i++)
                assert_string_equal(table_integrity_difference(&other[i], &wanted_table), names[i]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rejects),    cmocka_unit_test(test_accepts),
                cmocka_unit_test(test_difference), cmocka_unit_test(test_integrity_rejects),
                cmocka_unit_test(test_integrity),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
