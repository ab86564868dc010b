/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "file.h"

#include <fcntl.h>

#define FILE_MAX (4U * 1024 * 1024)

/* Files in /proc and /sys have no size: grow until read(2) says that it was all. */
int file_read_at(int dir_fd, const char *path, char **ret) {
        _cleanup_close_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        _cleanup_free_ char *text = NULL;
        size_t size = 0, n = 0;
        ssize_t k;

        if (fd < 0)
                return -errno;
        do {
                if (size - n < 2) {
                        size = size == 0 ? 4096 : size * 2;
                        if (size > FILE_MAX)
                                return -EFBIG;
                        char *p = realloc(text, size);
                        if (!p)
                                return -ENOMEM;
                        text = p;
                }
                k = read(fd, text + n, size - n - 1);
                if (k < 0)
                        return -errno;
                n += k;
        } while (k > 0);

        if (n > 0 && text[n - 1] == '\n')
                n--;
        text[n] = '\0';
        *ret = TAKE_PTR(text);
        return 0;
}

static bool is_octal(char c) {
        return c >= '0' && c <= '7';
}

void file_unescape(char *s) {
        char *out = s;

        for (; *s; out++)
                if (s[0] == '\\' && is_octal(s[1]) && is_octal(s[2]) && is_octal(s[3])) {
                        *out = (char) ((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
                        s += 4;
                } else
                        *out = *s++;
        *out = '\0';
}

int file_get_variable(const char *text, const char *key, char **ret) {
        for (const char *line = text; *line; line += strspn(line, "\n")) {
                const char *value = startswith(line, key);

                if (value && *value == '=') {
                        *ret = strndup(value + 1, strcspn(value + 1, "\n"));
                        return *ret ? 0 : -ENOMEM;
                }
                line += strcspn(line, "\n");
        }
        return -ENOENT;
}

DIR *file_open_dir_at(int dir_fd, const char *path) {
        _cleanup_close_ int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir;

        if (fd < 0)
                return NULL;
        dir = fdopendir(fd);
        if (dir)
                TAKE_FD(fd);
        return dir;
}
