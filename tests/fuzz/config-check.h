/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What holds of a Config, whatever it was made from. */

#include "config.h"

void config_check(const Config *c);

/* Loads text as the command line, below it the credential (NULL: none) and the built-in defaults, and checks
 * what comes out; for targets without config files. The caller calls config_done(). */
void config_load_cmdline(Config *c, const char *credential, const char *text);
