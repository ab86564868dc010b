/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the user asked for: defaults, config files, credentials and the kernel command line, each over the
 * one before it. Whatever comes out is usable: a bad value, line or entry of a list is warned of, costs
 * itself alone, and is among what was refused. What is there and cannot be read may have asked for anything:
 * it counts as asking for Fallback=fail and Integrity=hmac-sha256, which whatever comes over it may take
 * back; but not for a disk. */

#include <stdint.h>

#include "dirspec.h"
#include "macro.h"
#include "refusals.h"

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
        Refusals refused;
        bool marker_unknown; /* a word for VmDisk= was refused, or something could not be read */
} Config;

/* Where it comes from; everything is borrowed, and NULL is what is not there. */
typedef struct ConfigSources {
        const char *root;    /* of the config files; "" is the system's own */
        const char *initrd;  /* what the initrd has set the pool up by: the text of its Config */
        const char *refused; /* what the initrd refused: the text of its Refusals */
        const char *conf;    /* credential ccvm.conf: a config file's text */
        const char *vm_disk; /* credential ccvm.vm-disk */
        const char *cmdline;
        const char *fallback; /* credential ccvm.fallback: Fallback= as the host wants it */
        /* Why that which is there could not be read, -errno, or 0. */
        int initrd_error, conf_error, vm_disk_error, cmdline_error;
} ConfigSources;

/* Reads all of that, in the order of config files, credentials, command line, and warns of what it does not
 * use. The credential ccvm.fallback comes last and so wins; a word in it that Fallback= does not take counts
 * as "fail". With sources->initrd only Mounts= and NixStore= can still be changed; for all else that differs
 * the initrd's word stands, with a warning. Where that word is lost, Fallback= is fail. -ENOMEM is the only
 * error. The caller calls config_done(). */
int config_load(Config *c, const ConfigSources *sources);

void config_done(Config *c);
