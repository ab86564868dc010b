/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "test.h"

#include "cmdline.h"

/* Joins what it gets to "key=value|key|…". */
static void collect(const char *key, const char *value, void *userdata) {
        char *text = userdata;

        sprintf(text + strlen(text), "%s%s%s%s", text[0] ? "|" : "", key, value ? "=" : "", value ?: "");
}

static void test_words(void **state) {
        static const struct {
                const char *text, *expected;
        } table[] = {
                { "", "" },
                { " \t\n ", "" },
                { "=", "=" },
                { "a=\"b", "a=b" },
                { "\"", "" },
                { "a=\"\"", "a=" },
                { "a=\"b c\" d", "a=b c|d" },
                { "\"a=b c\" d", "a=b c|d" },
                { "'a=b \"c' d", "a=b \"c|d" },
                { "a=b\"c d\"e", "a=bc de" },
                { "a=b=c", "a=b=c" },
                { "a\\ b", "a\\|b" },
                { "root=/dev/vda quiet\n", "root=/dev/vda|quiet" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char text[256] = "";
                cmdline_parse(table[i].text, collect, text);
                assert_string_equal(text, table[i].expected);
        }
}

static void test_key_equal(void **state) {
        static const struct {
                const char *a, *b;
                bool equal;
        } table[] = {
                { "", "", true },           { "a", "", false },         { "", "a", false },
                { "a", "b", false },        { "a-b", "a_b", true },     { "a_-b", "a-_b", true },
                { "vm_disk", "vm", false }, { "vm", "vm_disk", false }, { "A", "a", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_int_equal(cmdline_key_equal(table[i].a, table[i].b), table[i].equal);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_key_equal),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
