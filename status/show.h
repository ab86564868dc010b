/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Prints the status on standard output, for people and for programs (ccvm-scratch(1)).
 *
 * When: in the running guest. */

#include "jsonbuild.h"
#include "now.h"

typedef enum JsonForm { JSON_OFF, JSON_SHORT, JSON_PRETTY } JsonForm;

void show_text(const Now *now);

/* Gives the object v the field "refused". Returns whether there was memory. */
bool show_refused_json(json_object *v, const Refusals *refused);

/* Shows the options in force and what was refused: of this system, or of the config files below the
 * directory root. Returns 1 if something was refused, 0 if not; logs its errors. */
int show_config(const char *root, JsonForm form);

/* Prints the record, and behind its fields what is so now. -ENOMEM, -EIO. */
int show_json(const Now *now, JsonForm form);
