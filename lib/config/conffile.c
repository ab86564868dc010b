/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "conffile.h"

#include <dirent.h>
#include <fcntl.h>

#include "text.h"

#define BLANK " \t\r"

/* The text without white space around it, in place. */
static char *strip(char *s) {
        s += strspn(s, BLANK);
        for (size_t l = strlen(s); l > 0 && strchr(BLANK, s[l - 1]);)
                s[--l] = 0;
        return s;
}

static char *unquote(char *s) {
        size_t l = strlen(s);

        if (l < 2 || (*s != '"' && *s != '\'') || s[l - 1] != *s)
                return s;
        s[l - 1] = 0;
        return s + 1;
}

static bool is_comment(const char *s) {
        s += strspn(s, BLANK);
        return *s == '#' || *s == ';';
}

/* The next line of *rest, with those that a backslash joins to it; *line is the number of its last. NULL at
 * the end. */
static char *next_line(char **rest, unsigned *line) {
        char *start = strsep(rest, "\n");

        for (*line += start != NULL; start && *rest && !is_comment(start); (*line)++) {
                char *end = *rest - 1; /* where the newline was */
                if (end > start && end[-1] == '\r')
                        end--;
                if (end == start || end[-1] != '\\')
                        break;
                end[-1] = ' ';
                memmove(end, *rest, strlen(*rest) + 1);
                *rest = end;
                (void) strsep(rest, "\n");
        }
        return start;
}

void conffile_parse(const char *text, conffile_callback callback, void *userdata) {
        _cleanup_free_ char *copy = text_copy(startswith(text, "\xef\xbb\xbf") ?: text);
        char *rest = copy, *s;
        const char *section = "";
        unsigned line = 0;

        while ((s = next_line(&rest, &line))) {
                s = strip(s);
                if (!*s || is_comment(s))
                        continue;
                if (*s == '[') {
                        size_t l = strlen(s);
                        if (l > 2 && s[l - 1] == ']') {
                                s[l - 1] = 0;
                                section = s + 1;
                        } else
                                callback(line, section, NULL, "no ']' at the end", userdata);
                        continue;
                }
                char *value = strchr(s, '=');
                if (value)
                        *value++ = 0;
                s = strip(s);
                if (!value || !*s)
                        callback(line, section, NULL, value ? "no key before '='" : "no '='", userdata);
                else
                        callback(line, section, s, unquote(strip(value)), userdata);
        }
}

static const char *const directories[] = { "/etc", "/run", "/usr/local/lib", "/usr/lib" };

typedef struct Paths {
        char **paths; /* NULL-terminated */
        size_t n;
} Paths;

/* Takes path over. */
static void paths_add(Paths *p, char *path) {
        p->paths = need_memory(reallocarray(p->paths, p->n + 2, sizeof(char *)));
        p->paths[p->n++] = path;
        p->paths[p->n] = NULL;
}

/* No name, or no directory that could have it; anything else is there in some way. */
static bool is_absent(int error) {
        return error == ENOENT || error == ENOTDIR;
}

static void add_main_file(Paths *p, const char *root, const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(directories) && p->n == 0; i++) {
                _cleanup_free_ char *path = text_format("%s%s/%s", root, directories[i], name);
                if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) >= 0 || !is_absent(errno))
                        paths_add(p, TAKE_PTR(path));
        }
}

static int is_drop_in(const struct dirent *e) {
        size_t l = strlen(e->d_name);

        return e->d_name[0] != '.' && l > 5 && streq(e->d_name + l - 5, ".conf");
}

static const char *file_name(const char *path) {
        return strrchr(path, '/') + 1;
}

/* Those of one directory, unless one of the name is there already. from: where drop-ins begin in p. */
static void add_drop_ins(Paths *p, size_t from, const char *directory) {
        struct dirent **entries = NULL;
        int n = scandir(directory, &entries, is_drop_in, NULL);

        if (n < 0 && !is_absent(errno))
                paths_add(p, text_copy(directory));
        for (int i = 0; i < n; i++) {
                bool known = false;
                for (size_t k = from; k < p->n && !known; k++)
                        known = streq(file_name(p->paths[k]), entries[i]->d_name);
                if (!known)
                        paths_add(p, text_format("%s/%s", directory, entries[i]->d_name));
                free(entries[i]);
        }
        free(entries);
}

static int compare_names(const void *a, const void *b) {
        return strcmp(file_name(*(char *const *) a), file_name(*(char *const *) b));
}

char **conffile_find(const char *root, const char *name) {
        Paths p = {};

        add_main_file(&p, root, name);
        size_t from = p.n;
        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                _cleanup_free_ char *directory = text_format("%s%s/%s.d", root, directories[i], name);
                add_drop_ins(&p, from, directory);
        }
        if (p.n > from)
                qsort(p.paths + from, p.n - from, sizeof(char *), compare_names);
        return p.paths;
}

void conffile_free(char **paths) {
        for (char **p = paths; p && *p; p++)
                free(*p);
        free(paths);
}
