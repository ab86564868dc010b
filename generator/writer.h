/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

/* The files of a generator: where they go, and what they stand beside. */

#include "claims.h"
#include "config.h"

/* Everything is borrowed. */
typedef struct Writer {
        const Config *config;
        const char *directory; /* of the units: an existing one, normally argv[1] of the generator */
        const char *root;      /* of the files that are looked at; "" is the system's own */
        const char *sysroot;   /* what stands before each mount point: "/sysroot" in the initrd, else "" */
        const Claims *claims;  /* what is somebody else's to mount: left to them, with a warning */
} Writer;

static inline bool writer_in_initrd(const Writer *w) {
        return w->sysroot[0] != 0;
}

/* By which the boot pulls in what is ours. */
static inline const char *writer_target(const Writer *w) {
        return writer_in_initrd(w) ? "initrd-fs.target" : "local-fs.target";
}

/* Where path is in the real root, without links of root's (place.h); in the initrd, where that root is not
 * there yet, and if others than root can bend it, path as it is. The caller frees it; NULL if out of
 * memory. */
char *writer_resolve(const Writer *w, const char *path);

/* Opens a new unit file (name may have one directory in it). Logs its errors; -EEXIST, with a warning, if
 * the file is somebody else's. */
int unit_open(const Writer *w, const char *name, FILE **ret);

/* Closes it: the one place where a failed write shows, the disk full or the file system gone. Logs its
 * errors. */
int unit_close(FILE *f, const char *name);

/* Has target pull the unit in; no target requires anything of ours. from: where the unit is, seen from
 * target's directory. Logs its errors. */
int unit_enable(const Writer *w, const char *from, const char *name, const char *target);
