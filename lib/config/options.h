/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

/* The options: their names, what they accept, and what they do to a Config. */

#include "config.h"

#define OPTIONS 13

typedef struct Option Option;

struct Option {
        const char *key;  /* in [Scratch] */
        const char *name; /* behind "ccvm." on the kernel command line */
        /* -EINVAL: a bad value, and c is as it was; -ENOMEM. Of a list it takes what it can: then value
         * becomes what was taken, and what was not is in c->refused. */
        int (*parse)(Config *c, const Option *o, char *value);
        const char *accepts;  /* for the warning */
        const char *fallback; /* the default */
        size_t offset;        /* of the field, for the parsers that serve several */
};

extern const Option options[OPTIONS];

/* Without a value it means yes, as everywhere on the command line. */
bool option_is_boolean(const Option *o);

/* Frees what the parsers have put into c. */
void options_done(Config *c);
