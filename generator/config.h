/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the user asked for: defaults, config files, the credential and the kernel command line, each over the
 * one before it. Whatever comes out is usable: a bad value is warned of and the value before it stays. */

#include <stdint.h>

#include "dirspec.h"
#include "macro.h"

/* More than anybody mounts; bounds what a command line can make the generator write. */
#define CONFIG_MOUNTS_MAX 32

typedef struct Config {
        bool vm_disk;        /* the host has attached a disk, or will */
        bool hotplug;        /* it will, when the system runs; never without vm_disk */
        char serial[20 + 1]; /* of the disk, [A-Za-z0-9._-]; 20 is the virtio limit */
        DirSpec mounts[CONFIG_MOUNTS_MAX];
        size_t n_mounts;
        const char *nix_store; /* one of the words that the option accepts, a constant; so are these: */
        const char *file_system;
        const char *header;
        const char *integrity;
        const char *fallback;
        bool discard;
        uint64_t device_timeout_sec;
        char fallback_size[24]; /* as tmpfs(5) takes it in size= */
} Config;

/* Reads the config files below root ("" is the system's own), then the credential (text; NULL: there is
 * none), then cmdline (text). Warns of what it does not use. -ENOMEM is the only error. The caller calls
 * config_done(). */
int config_load(Config *c, const char *root, const char *credential, const char *cmdline);

void config_done(Config *c);
