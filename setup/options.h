/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What ccvm-scratch-setup was started with (main.c), for its verbs (verbs.h). */

#include "filesystem.h"
#include "luks.h"
#include "pool.h"

/* A virtual machine that goes on from a snapshot may not be the only one with its key. */
typedef enum OnClone {
        ON_CLONE_WARN,
        ON_CLONE_RENEW, /* ccvm-scratch-renew.service is next */
        ON_CLONE_WIPE,
        _ON_CLONE_MAX,
} OnClone;

/* All is borrowed, or constant. */
typedef struct Options {
        const char *serial; /* of the disk */
        const FileSystem *file_system;
        LuksOptions luks;
        PoolLayout layout;
        const char *root; /* of the system that they are mounted in; "" is this one */
        bool bind;        /* mount the directories too */
        bool disk;        /* one was asked for */
        State mode;       /* without the disk: STATE_TMPFS or STATE_NONE, */
        bool mode_fail;   /* and power off */
        const char *size; /* of the tmpfs, as in tmpfs(5) */
        OnClone on_clone;
} Options;
