/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "old_pools.h"

#include <inttypes.h>

#include "fileio.h"
#include "log.h"
#include "parse.h"
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
        _cleanup_free_ char *text = NULL;
        uint64_t number;

        if (file_read(RENEWING_PATH, KIB, &text) < 0)
                return;
        for (char *save, *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
                if (parse_unsigned(word, UINT64_MAX, &number) >= 0)
                        old_pools_add(old, number);
}

int old_pools_write(const OldPools *old) {
        char text[ELEMENTSOF(old->numbers) * 21 + 1] = "";
        int r;

        for (size_t i = 0, l = 0; i < old->n; i++)
                l += sprintf(text + l, "%" PRIu64 " ", (uint64_t) old->numbers[i]);
        r = file_write_atomic(RENEWING_PATH, text, 0644);
        return r < 0 ? log_error_errno(r, "Failed to write '%s'", RENEWING_PATH) : 0;
}
