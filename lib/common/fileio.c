/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "fileio.h"

#include <fcntl.h>

#include "text.h"

int file_read(const char *path, size_t max, char **ret) {
        _cleanup_fclose_ FILE *f = fopen(path, "re");
        _cleanup_free_ char *text = NULL;

        if (!f)
                return -errno;
        /* One byte more than allowed tells that the file is larger. */
        text = need_memory(malloc(max + 1));
        size_t n = fread(text, 1, max + 1, f);
        if (ferror(f))
                return -errno;
        if (n > max)
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

        va_start(ap, format);
        path = text_vformat(format, ap);
        va_end(ap);
        f = fopen(path, "re");
        ssize_t n = f ? getdelim(&text, &size, '\0', f) : -1;
        if (n <= 0)
                return NULL;
        if (text[n - 1] == '\n')
                text[n - 1] = 0;
        return TAKE_PTR(text);
}

int mkdir_for(const char *path) {
        const char *slash = strrchr(path, '/');
        _cleanup_free_ char *directory = text_format("%.*s", slash ? (int) (slash - path) : 0, path);

        return *directory ? mkdir_parents(directory, 0755) : 0;
}

int mkdir_parents(const char *path, mode_t mode) {
        int r;

        if (access(path, F_OK) >= 0)
                return 0;
        r = mkdir_for(path);
        if (r < 0)
                return r;
        return mkdir(path, mode) < 0 && errno != EEXIST ? -errno : 0;
}

int file_write_atomic(const char *path, const char *text, mode_t mode) {
        _cleanup_free_ char *temporary = text_format("%s.XXXXXX", path);
        int r = mkdir_for(path), fd;

        if (r < 0)
                return r;
        fd = mkostemp(temporary, O_CLOEXEC);
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

int file_update(const char *path, const char *text) {
        _cleanup_free_ char *there = NULL;

        if (file_read(path, strlen(text), &there) >= 0 && streq(there, text))
                return 0;
        return file_write_atomic(path, text, 0644);
}
