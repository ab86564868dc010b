/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "old_pools.h"

#include <inttypes.h>

#include "fileio.h"
#include "log.h"
#include "status.h"

bool old_pools_have(const OldPools *old, dev_t number) {
        for (size_t i = 0; number != 0 && i < old->n; i++)
                if (old->numbers[i] == number)
                        return true;
        return false;
}

void old_pools_add(OldPools *old, dev_t number) {
        if (number == 0 || old_pools_have(old, number))
                return;
        if (old->n == ELEMENTSOF(old->numbers))
                memmove(old->numbers, old->numbers + 1, --old->n * sizeof(dev_t));
        old->numbers[old->n++] = number;
}

void old_pools_read(OldPools *old) {
        _cleanup_fclose_ FILE *f = fopen(RENEWING_PATH, "re");
        uint64_t number;

        while (f && fscanf(f, "%" SCNu64, &number) == 1)
                old_pools_add(old, number);
}

int old_pools_write(const OldPools *old) {
        char text[ELEMENTSOF(old->numbers) * 21 + 1] = "";
        int r;

        for (size_t i = 0, l = 0; i < old->n; i++)
                l += sprintf(text + l, "%" PRIu64 " ", (uint64_t) old->numbers[i]);
        r = file_write_atomic(RENEWING_PATH, text, 0644);
        if (r < 0)
                return log_error_errno(r, "Failed to write '%s'", RENEWING_PATH);
        return 0;
}
