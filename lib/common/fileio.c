/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "fileio.h"

#include <fcntl.h>
#include <stdarg.h>

/* Reads until the end or until size bytes are there. Returns the count. */
static ssize_t read_full(int fd, char *buffer, size_t size) {
        size_t n = 0;

        while (n < size) {
                ssize_t l = read(fd, buffer + n, size - n);
                if (l < 0 && errno == EINTR)
                        continue;
                if (l < 0)
                        return -errno;
                if (l == 0)
                        break;
                n += l;
        }
        return n;
}

int file_read(const char *path, size_t max, char **ret) {
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = -EBADF;
        ssize_t n;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return -errno;
        text = malloc(max + 1);
        if (!text)
                return -ENOMEM;

        /* One byte more than allowed tells that the file is larger. */
        n = read_full(fd, text, max + 1);
        if (n < 0)
                return n;
        if ((size_t) n > max)
                return -EFBIG;
        if (memchr(text, 0, n))
                return -EINVAL;

        text[n] = 0;
        *ret = TAKE_PTR(text);
        return 0;
}

char *attribute_read(const char *format, ...) {
        _cleanup_free_ char *path = NULL, *text = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t size = 0;
        va_list ap;
        ssize_t n;

        va_start(ap, format);
        n = vasprintf(&path, format, ap);
        va_end(ap);
        f = n >= 0 ? fopen(path, "re") : NULL;
        n = f ? getdelim(&text, &size, '\0', f) : -1;
        if (n <= 0)
                return NULL;
        if (text[n - 1] == '\n')
                text[n - 1] = 0;
        return TAKE_PTR(text);
}

int file_write_atomic(const char *path, const char *text, mode_t mode) {
        _cleanup_free_ char *temporary = NULL;
        int r = 0;

        if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
                return -ENOMEM;
        int fd = mkostemp(temporary, O_CLOEXEC);
        if (fd < 0)
                return -errno;

        size_t l = strlen(text);
        ssize_t n = write(fd, text, l);
        if (n < 0 || fchmod(fd, mode) < 0)
                r = -errno;
        else if ((size_t) n != l)
                r = -EIO;
        if (close(fd) < 0 && r == 0)
                r = -errno;
        if (r == 0 && rename(temporary, path) < 0)
                r = -errno;
        if (r < 0)
                (void) unlink(temporary);
        return r;
}

int mkdir_parents(const char *path, mode_t mode) {
        const char *slash = strrchr(path, '/');
        _cleanup_free_ char *parent = NULL;
        int r;

        if (access(path, F_OK) >= 0)
                return 0;
        if (slash && slash != path) {
                parent = strndup(path, (size_t) (slash - path));
                r = parent ? mkdir_parents(parent, mode) : -ENOMEM;
                if (r < 0)
                        return r;
        }
        return mkdir(path, mode) < 0 && errno != EEXIST ? -errno : 0;
}

int file_update(const char *path, const char *text) {
        _cleanup_free_ char *directory = strdup(path), *there = NULL;
        int r;

        if (!directory)
                return -ENOMEM;
        if (file_read(path, strlen(text), &there) >= 0 && streq(there, text))
                return 0;
        *strrchr(directory, '/') = 0;
        r = mkdir_parents(directory, 0755);
        return r < 0 ? r : file_write_atomic(path, text, 0644);
}
