/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What holds of a Config, whatever it was made from. */

#include "config.h"

void config_check(const Config *c);

/* Loads the text of a config file and the credential (NULL: none) and the command line over them, and checks
 * what comes out. No file is read. The caller calls config_done(). */
void config_load_sources(Config *c, const char *conf, const char *vm_disk, const char *cmdline);
