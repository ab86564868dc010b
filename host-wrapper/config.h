/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The wrapper's options and environment, validated. An option wins over its variable, that over the default.
 * */

#include "image.h"
#include "qemu.h"
#include "watch.h"

/* What the guest refuses (device-too-small), in bytes. */
#define CONFIG_DISK_SIZE_MIN (UINT64_C(32) * 1024 * 1024)

/* How long the guest has for the report of a boot, in seconds. */
#define CONFIG_REPORT_TIMEOUT_SEC 300

/* Strings are borrowed from argv and the environment, except default_dir and qemu, which are owned. */
typedef struct Config {
        ImageRequest image; /* size 0: no disk */
        char *default_dir;  /* what image.dir is where nobody has named one */
        VmmKind vmm;
        VmmRequest request; /* image_fd: of the caller's image, for print_args; negative: none */
        WatchConfig watch;
        const char *seed; /* NULL: none */
        bool dry_run;
        bool print_args;
        char *const *command; /* NULL-terminated; empty only with print_args */
        bool launched;        /* by another program than the VMM itself */
        QemuCommand qemu;     /* what it says to QEMU */
} Config;

void config_done(Config *c);

/* Reads the environment, then the options up to the first argument that is none. Logs what it refuses.
 * 1: there is something to do; 0: --help or --version has been printed; -EINVAL: a usage error; -errno. */
int config_parse(int argc, char **argv, Config *ret);
