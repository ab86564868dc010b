/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the user asked for: defaults, config files, credentials and the kernel command line, each over the
 * one before it. Whatever comes out is usable: a bad value or line is warned of, and what stood before it
 * stays. */

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
        const char *on_clone;
        bool discard;
        uint64_t device_timeout_sec;
        uint64_t setup_timeout_sec;
        char fallback_size[24]; /* as tmpfs(5) takes it in size= */
        bool initrd_differs;    /* the initrd has made the pool for other Mounts= or NixStore= */
        char *text;             /* owned: all that is no default, as a config file */
} Config;

/* Where it comes from; everything is borrowed, and NULL is what is not there. */
typedef struct ConfigSources {
        const char *root;    /* of the config files; "" is the system's own */
        const char *initrd;  /* what the initrd has set the pool up by: the text of its Config */
        const char *conf;    /* credential ccvm.conf: a config file's text */
        const char *vm_disk; /* credential ccvm.vm-disk */
        const char *cmdline;
        const char *fallback; /* credential ccvm.fallback: Fallback= as the host wants it */
} ConfigSources;

/* Reads all of that, in the order of config files, credentials, command line, and warns of what it does not
 * use. The credential ccvm.fallback comes last and so wins; a word in it that Fallback= does not take counts
 * as "fail". With sources->initrd only Mounts= and NixStore= can still be changed; for all else that differs
 * the initrd's word stands, with a warning. -ENOMEM is the only error. The caller calls config_done(). */
int config_load(Config *c, const ConfigSources *sources);

void config_done(Config *c);
