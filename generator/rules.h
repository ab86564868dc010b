/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* udev's rule for the disk: in /run, and there only when a disk was asked for. Written before udev starts,
 * in the initrd for the real root too. */

#include "config.h"

/* Writes root/run/udev/rules.d/59-ccvm-scratch.rules for c->serial; a file with the same text is left as it
 * is. start: the disk starts ccvm-scratch-luks.service when it comes. Logs its errors. */
int rules_write(const Config *c, const char *root, bool start);
