/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "conffile.h"
#include "fileio.h"

/* What the walk says, in one line: "3 [Section] key=value; ", or "3 !what is wrong; ". */
static void on_line(unsigned line, const char *section, const char *key, const char *value, void *userdata) {
        char *said = userdata;
        size_t l = strlen(said);

        if (key)
                snprintf(said + l, 256 - l, "%u [%s] %s=%s; ", line, section, key, value);
        else
                snprintf(said + l, 256 - l, "%u !%s; ", line, value);
}

static void test_parse(void **state) {
        static const struct {
                const char *text, *said;
        } table[] = {
                { "", "" },
                { "\n \n#a=b\n ; c=d\n", "" },
                { "a=b", "1 [] a=b; " },
                { "[S]\na=b\na=c\n", "2 [S] a=b; 3 [S] a=c; " },
                { "\xef\xbb\xbf[S]\r\na = b \r\n", "2 [S] a=b; " },
                { "[S]\nnothing\nA=1\n", "2 !no '='; 3 [S] A=1; " },
                { "[S\nA=1\n[T]\nB=2\n", "1 !no ']' at the end; 2 [] A=1; 4 [T] B=2; " },
                { "[]\n=x\n", "1 !no ']' at the end; 2 !no key before '='; " },
                { "a=\n", "1 [] a=; " },
                { "a=\"b c\"\nb='x\nc=\"\"\n", "1 [] a=b c; 2 [] b='x; 3 [] c=; " },
                { "a=b # c\n", "1 [] a=b # c; " },
                { "a=b\\\n  c\nd=e\n", "2 [] a=b   c; 3 [] d=e; " },
                { "a=b\\\r\nc\n", "2 [] a=b c; " },
                { "# c\\\na=b\n", "2 [] a=b; " },
                { "a=b\\", "1 [] a=b\\; " },
                { "a=b=c\n", "1 [] a=b=c; " },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char said[256] = "";
                conffile_parse(table[i].text, on_line, said);
                assert_string_equal(said, table[i].said);
        }
}

static char root[] = "/tmp/ccvm-conffile-XXXXXX";

static void make(const char *path) {
        _cleanup_free_ char *full = NULL, *directory = NULL;

        assert_true(asprintf(&full, "%s%s", root, path) >= 0);
        directory = strdup(full);
        for (char *p = directory + strlen(root) + 1; (p = strchr(p, '/')); *p++ = '/') {
                *p = 0;
                (void) mkdir(directory, 0755);
        }
        int fd = open(full, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        close(fd);
}

static void assert_found(const char *expected) {
        _cleanup_(conffile_freep) char **paths = conffile_find(root, "x.conf");
        char found[512] = "";

        for (char **p = paths; p && *p; p++)
                snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s ", *p + strlen(root));
        assert_string_equal(found, expected);
}

static int link_to(const char *target, const char *path) {
        _cleanup_free_ char *full = NULL, *directory = NULL;

        assert_true(asprintf(&full, "%s%s", root, path) >= 0);
        directory = strndup(full, strrchr(full, '/') - full);
        assert_non_null(directory);
        assert_int_equal(mkdir_parents(directory, 0755), 0);
        return symlink(target, full);
}

static void test_find(void **state) {
        _cleanup_free_ char *command = NULL;

        assert_non_null(mkdtemp(root));
        assert_found("");
        make("/usr/lib/x.conf");
        make("/usr/lib/x.conf.d/20-b.conf");
        make("/usr/lib/x.conf.d/30-c.conf");
        make("/usr/lib/x.conf.d/readme");
        make("/run/x.conf.d/10-a.conf");
        make("/etc/x.conf.d/20-b.conf");
        assert_found("/usr/lib/x.conf /run/x.conf.d/10-a.conf /etc/x.conf.d/20-b.conf "
                     "/usr/lib/x.conf.d/30-c.conf ");
        make("/etc/x.conf");
        assert_int_equal(link_to("/dev/null", "/etc/x.conf.d/30-c.conf"), 0);
        assert_found("/etc/x.conf /run/x.conf.d/10-a.conf /etc/x.conf.d/20-b.conf /etc/x.conf.d/30-c.conf ");

        /* A link to nowhere is there, and so is a directory at which nobody can look. */
        assert_int_equal(link_to("/nonexistent", "/etc/x.conf.d/40-nowhere.conf"), 0);
        assert_int_equal(link_to("x.conf.d", "/usr/local/lib/x.conf.d"), 0);
        assert_found("/etc/x.conf /run/x.conf.d/10-a.conf /etc/x.conf.d/20-b.conf /etc/x.conf.d/30-c.conf "
                     "/etc/x.conf.d/40-nowhere.conf "
                     "/usr/local/lib/x.conf.d ");

        assert_true(asprintf(&command, "rm -rf %s", root) >= 0);
        assert_int_equal(system(command), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_find),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
