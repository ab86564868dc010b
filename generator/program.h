/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

/* How the services call ccvm-scratch-setup: what stands behind its verb, in a line that goes on. */

#include <stdio.h>

#include "writer.h"

#define SETUP PROGRAM_DIR "/ccvm-scratch-setup"

/* One directory of the pool. -ENOMEM, logged. */
int program_print_mount(const DirSpec *d, FILE *f);

/* All of them; ends the line. -ENOMEM, logged. */
int program_print_directories(const Config *c, FILE *f);

/* By which the disk is set up. */
void program_print_set_up(const Config *c, FILE *f);

/* What is done without the disk: one of the words of Fallback=, a constant. What fails in a running system
 * takes nothing from it: it stays in the RAM that it had. */
const char *program_fallback_mode(const Config *c);

/* The same as options. */
void program_print_fallback(const Config *c, FILE *f);

/* Whether the policy is loaded; in the system the service manager has done it by now. */
bool program_relabels(const Writer *w);

/* A line key=: what is on the pool gets the labels of where it is mounted. */
void program_print_relabel(const Config *c, const char *key, FILE *f);

/* Ends the drop-in name, whose last line starts the program, and closes f. relabel: the program mounts the
 * directories too. Logs its errors. */
int program_finish(const Writer *w, const char *name, bool relabel, FILE *f);
