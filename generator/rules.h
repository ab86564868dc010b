/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* udev's rule for the disk: in /run, and there only when a disk was asked for. Written before udev starts,
 * in the initrd for the real root too.
 *
 * Used at each run of the generator, in the initrd and in the real root. */

#include "config.h"

#define RULES_PATH "/run/udev/rules.d/59-ccvm-scratch.rules"

/* Formats the rules for the serial of c. start: the disk starts ccvm-scratch-luks.service when it comes. The
 * caller frees it. */
char *rules_format(const Config *c, bool start);
