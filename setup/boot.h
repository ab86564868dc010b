/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The verbs of the boot. In the initrd, after the disk has appeared and before initrd-fs.target; in the real
 * root before local-fs.target where there is no initrd. All return 0 or -errno, and log their errors. */

#include "options.h"

/* From the disk to the mounted pool, once: no marker is looked at. A failure leaves nothing behind. The
 * outcome is logged and in s; it is in the status file, and if it is a success announced. */
int boot_set_up(const Options *o, Status *s);

/* ccvm-scratch-luks.service: the first attempt in this boot, by its marker. */
int boot_encrypt(const Options *o);

/* Says in the journal, and on the console, as the journal dies with the virtual machine, that it powers off
 * as Fallback=fail says, and why: a reason of the status, and one line of text; NULL if there is none.
 * Returns -ECANCELED, with which FailureAction= of the unit does it. */
int boot_power_off(const char *reason, const char *detail);

/* Its ExecStopPost=: clears away what it could not itself, as when it was killed. */
int boot_close(const Options *o);

/* The same without a look at how the service has ended. */
int boot_take_down(const Options *o);

/* ccvm-scratch-tmpfs.service: a pool in RAM, or none, as was asked for. */
int boot_fallback(const Options *o);

/* ccvm-scratch-directories.service: those that the initrd did not know of. */
int boot_directories(const Options *o);

/* ccvm-scratch-check.service, when all is mounted: whether the pool is what programs get there. */
int boot_check(const Options *o);
