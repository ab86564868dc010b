/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who else mounts what: the fstab lines that systemd-fstab-generator(8) makes units of. It runs beside this
 * generator, and two sources for one unit are a race; so the fstab's word is the last.
 *
 * Used at each run of the generator, in the initrd and in the real root. */

#include "macro.h"

typedef struct Claim {
        char *where;        /* owned; without /sysroot, and in the real root without links (place.h) */
        const char *source; /* that says so, for warnings; a constant */
        bool noauto, nofail, netdev;
} Claim;

typedef struct Claims {
        const char *root; /* borrowed; that of their paths */
        bool initrd;      /* it is not there yet */
        bool fstab;       /* is to be read */
        Claim *claims;
        size_t n;
} Claims;

/* Reads the fstab below root, in the initrd that of the system to come too (as far as it is mounted), the
 * credential fstab.extra, and systemd.mount-extra= of cmdline. A file that is not there has no lines.
 * The caller calls claims_done(). */
void claims_load(Claims *c, const char *root, bool initrd, const char *cmdline);

/* The line that mounts path itself; NULL if none does. */
const Claim *claims_find(const Claims *c, const char *path);

/* The line that mounts the directory which is nearest above path; NULL if none does. */
const Claim *claims_find_above(const Claims *c, const char *path);

/* Whether what is mounted on path, or nearest above it, may come when the early boot is over: it is nofail,
 * or needs a network. */
bool claims_come_late(const Claims *c, const char *path);

void claims_done(Claims *c);
