/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "test.h"

#include "refusals.h"

/* All of it in one line: "key=value (why); ". */
static void test_parse(void **state) {
        static const struct {
                const char *text, *said, *paths;
        } table[] = {
                { "", "", "" },
                { "\n\n", "", "" },
                { "Mounts\t/x\twhy\t/x\n", "Mounts=/x (why); ", "/x " },
                { "A\tb\tc\t\nD\te\tf\t/g\n", "A=b (c); D=e (f); ", "/g " },
                { "only", "only (); ", "" },
                { "\t\tno line\t", "no line; ", "" },
                { "a\tb\tc\tno path\td", "a=b (c); ", "" },
                { "\x1b[2J\t\xff\"\\\t\x7f\t/\xc3\xbc\n", "?[2J=?\"\\ (?); ", "/?? " },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(refusals_done) Refusals r = {};
                char said[128] = "", paths[128] = "", *list[REFUSALS_MAX + 1];

                refusals_parse(&r, table[i].text);
                for (size_t k = 0; k < r.n; k++) {
                        _cleanup_free_ char *one = refusal_to_string(&r.entries[k]);
                        snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s; ", one);
                }
                refusals_list_paths(&r, list);
                for (char **p = list; *p; p++)
                        snprintf(paths + strlen(paths), sizeof(paths) - strlen(paths), "%s ", *p);
                assert_string_equal(said, table[i].said);
                assert_string_equal(paths, table[i].paths);
        }
}

static void test_load(void **state) {
        _cleanup_(refusals_done) Refusals r = {};

        assert_int_equal(refusals_load(&r, "/nonexistent"), 0);
        assert_int_equal(r.n, 0);
        assert_int_equal(refusals_load(&r, "/"), -EISDIR);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_load),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
