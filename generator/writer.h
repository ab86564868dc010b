/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

/* The files of a generator: where they go, and what they stand beside.
 *
 * Used at each run of the generator, in the initrd and in the real root. */

#include "claims.h"
#include "config.h"
#include "paths.h"

#define SETUP PROGRAM_DIR "/ccvm-scratch-setup"
#define DIRECTORIES_SERVICE "ccvm-scratch-directories.service"

/* Everything is borrowed. */
typedef struct Writer {
        const Config *config;
        const char *directory; /* of the units: an existing one, normally argv[1] of the generator */
        const char *root;      /* of the files that are looked at; "" is the system's own */
        const char *sysroot;   /* what stands before each mount point: "/sysroot" in the initrd, else "" */
        const Claims *claims;  /* what is somebody else's to mount: left to them, with a warning */
        bool attempted;        /* the initrd has made the pool */
        bool failed;           /* a file could not be written, which was logged */
} Writer;

static inline bool writer_in_initrd(const Writer *w) {
        return w->sysroot[0] != 0;
}

/* Returns the target by which the boot pulls in what is ours. */
static inline const char *writer_target(const Writer *w) {
        return writer_in_initrd(w) ? "initrd-fs.target" : "local-fs.target";
}

/* Returns whether path exists below the root. */
bool writer_sees(const Writer *w, const char *path);

/* Resolves path in the real root, without links of root's (place.h); in the initrd, where that root is not
 * there yet, and if others than root can bend it, path as it is. The caller frees it. */
char *writer_resolve(const Writer *w, const char *path);

/* Writes a new unit file (name may have one directory in it) of this text. Returns whether it has: not if it
 * cannot, nor, with a warning, if another generator has written it, to which it is left. */
bool unit_write(Writer *w, const char *name, const char *format, ...) _printf_(3, 4);

/* Has target pull the unit in; no target requires anything of ours. from: where the unit is, seen from
 * target's directory. */
void unit_enable(Writer *w, const char *from, const char *name, const char *target);
