/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Values as people write them in options and config files. Pure functions of the text.
 *
 * Used by all programs, whenever they run. */

#include <stdint.h>

#include "macro.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define TIB (GIB * 1024)

/* 1/yes/y/true/t/on and 0/no/n/false/f/off, in any case (systemd.syntax(7)). Returns 1, 0, or -EINVAL. */
int parse_boolean(const char *s);

/* A decimal number without sign or blanks. -EINVAL if it is none, -ERANGE beyond max. */
int parse_unsigned(const char *s, uint64_t max, uint64_t *ret);

/* A size in bytes: a decimal number and at most one of the suffixes K M G T (powers of 1024), in either
 * case, which iB may follow. unit is the number of bytes that a number without suffix counts in. -EINVAL, or
 * -ERANGE if it passes INT64_MAX, the largest file offset. */
int parse_size(const char *s, uint64_t unit, uint64_t *ret);

/* Whole seconds as systemd.time(7) has them, "1min 20s": decimal numbers, each with a unit of s, min, h or
 * their longer names, or without one for seconds, which add up. No blanks around it. -EINVAL, or -ERANGE
 * beyond max. */
int parse_seconds(const char *s, uint64_t max, uint64_t *ret);
