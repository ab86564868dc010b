/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The options in force, from /run/ccvm-scratch/config (main.c), in the types of those who use them. */

#include "config.h"
#include "filesystem.h"
#include "luks.h"
#include "pool.h"

/* All is borrowed, or constant. */
typedef struct Options {
        const char *serial; /* of the disk */
        const FileSystem *file_system;
        LuksOptions luks;
        PoolLayout layout;
        const char *root;  /* of the system that they are mounted in; "" is this one */
        bool bind;         /* mount the directories too */
        bool disk;         /* one was asked for */
        Fallback fallback; /* what is done without the disk */
        const char *size;  /* of the tmpfs, as in tmpfs(5) */
        OnClone on_clone;
        const char *text; /* all of them, as a config file */
} Options;
