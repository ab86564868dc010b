/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The few macros that every program here uses: cleanups at scope exit, ownership transfer, comparisons.
 * Names and meaning follow systemd's src/fundamental.
 *
 * Used by all programs, whenever they run. */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))

#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))

/* Defines a cleanup function for a pointer type: func is called unless the pointer is NULL. */
#define DEFINE_TRIVIAL_CLEANUP_FUNC(type, func) \
        static inline void func##p(type *p) {   \
                if (*p)                         \
                        func(*p);               \
        }

static inline void freep(void *p) {
        free(*(void **) p);
}

/* Closes fd unless it is negative; errno is kept. Returns -EBADF, so that "fd = safe_close(fd)" reads
 * well. */
static inline int safe_close(int fd) {
        if (fd >= 0) {
                int saved = errno;
                close(fd);
                errno = saved;
        }
        return -EBADF;
}

static inline void closep(int *fd) {
        safe_close(*fd);
}

DEFINE_TRIVIAL_CLEANUP_FUNC(FILE *, fclose)

#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)
#define _cleanup_fclose_ _cleanup_(fclosep)

/* Hands the value over and leaves an empty variable behind, whose cleanup then does nothing. */
#define TAKE_GENERIC(var, type, empty) \
        ({                             \
                type _taken = (var);   \
                (var) = (empty);       \
                _taken;                \
        })
#define TAKE_PTR(p) TAKE_GENERIC(p, __typeof__(p), NULL)
#define TAKE_FD(fd) TAKE_GENERIC(fd, int, -EBADF)

static inline bool streq(const char *a, const char *b) {
        return strcmp(a, b) == 0;
}

static inline bool isempty(const char *s) {
        return !s || !s[0];
}

/* Returns what follows prefix in s (a pointer into s), or NULL if s does not start with it. */
static inline const char *startswith(const char *s, const char *prefix) {
        size_t l = strlen(prefix);

        return strncmp(s, prefix, l) == 0 ? s + l : NULL;
}
