/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The files in /run/ccvm-scratch, by which the programs leave word for each other; root alone writes.
 *
 * Used by all programs of the guest, from the generator in the initrd on. */

#define STATUS_DIRECTORY "/run/ccvm-scratch"

/* What was asked for, by ccvm-scratch-generator: the options in force, as a config file; what of them was
 * refused (refusals.h), here and in the initrd; and copies of the credentials. */
#define CONFIG_PATH STATUS_DIRECTORY "/config"
#define REFUSED_PATH STATUS_DIRECTORY "/refused"
#define REFUSED_BY_INITRD_PATH STATUS_DIRECTORY "/refused-by-initrd"
#define CREDENTIALS_PATH STATUS_DIRECTORY "/credentials"

/* What was done, by ccvm-scratch-setup (setup/record.h): the marker of the boot's attempt, the options that
 * the pool was made for, how it went (status.h), and the pool itself. */
#define ATTEMPTED_PATH STATUS_DIRECTORY "/attempted"
#define MADE_PATH STATUS_DIRECTORY "/made"
#define STATUS_PATH STATUS_DIRECTORY "/status.json"
#define POOL_DIRECTORY STATUS_DIRECTORY "/pool"

/* What it remembers of a running pool: the health that was announced last, the free blocks when they were
 * discarded last, the device with the tags of Integrity= (tags.h), how many sectors did not match theirs. */
#define HEALTH_PATH STATUS_DIRECTORY "/health"
#define FREE_PATH STATUS_DIRECTORY "/free"
#define TAGS_PATH STATUS_DIRECTORY "/tags"
#define MISMATCHES_PATH STATUS_DIRECTORY "/mismatches"

/* A renewal is under way or was cut off: numbers of the earlier pools' devices. The next one is to happen
 * even if the pool is in use. And the lock of all work on the pool (setup/record.h). */
#define RENEWING_PATH STATUS_DIRECTORY "/renewing"
#define FORCE_PATH STATUS_DIRECTORY "/force"
#define LOCK_PATH STATUS_DIRECTORY "/lock"
