/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "lazyfill.h"

#include <inttypes.h>
#include <sys/sysmacros.h>

#include "mapping.h"

#define MAPPING "ccvm-scratch_tags"
#define ORIGIN MAPPING "-origin" /* the piece, as often as it takes */
#define STORE MAPPING "-store"   /* what was written, behind the piece on the device */

/* Sectors: what is written is kept in chunks of 4 KiB, as much as dm-integrity writes at least. */
#define CHUNK 8

#define SECTOR 512

uint64_t lazyfill_size(uint64_t size) {
        return LAZYFILL_PIECE + size;
}

static int make_linear(const char *name, dev_t device, uint64_t offset, uint64_t length, unsigned times,
                       dev_t *ret) {
        char params[64];
        const MappingTarget target = {
                .type = "linear",
                .params = params,
                .length = length / SECTOR,
                .times = times,
        };

        (void) snprintf(params, sizeof(params), "%u:%u %" PRIu64, major(device), minor(device),
                        offset / SECTOR);
        return mapping_create(name, &target, ret);
}

/* Not persistent: the table of what was written where is the kernel's alone, and takes no room in the
 * store. */
static int make_snapshot(dev_t origin, dev_t store, uint64_t size, dev_t *ret) {
        char params[96];
        const MappingTarget target = {
                .type = "snapshot",
                .params = params,
                .length = size / SECTOR,
                .times = 1,
        };

        (void) snprintf(params, sizeof(params), "%u:%u %u:%u N %u", major(origin), minor(origin),
                        major(store), minor(store), CHUNK);
        return mapping_create(MAPPING, &target, ret);
}

int lazyfill_make(dev_t device, uint64_t size, dev_t *ret) {
        dev_t origin, store;
        int r;

        r = make_linear(ORIGIN, device, 0, LAZYFILL_PIECE, size / LAZYFILL_PIECE, &origin);
        if (r >= 0)
                r = make_linear(STORE, device, LAZYFILL_PIECE, size, 1, &store);
        if (r >= 0)
                r = make_snapshot(origin, store, size, ret);
        if (r < 0)
                (void) lazyfill_remove();
        return r;
}

/* From the top: what a mapping lies on is free when it has become an error target. */
static int each(int (*function)(const char *)) {
        static const char *const names[] = { MAPPING, STORE, ORIGIN };
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                int q = function(names[i]);
                r = r < 0 ? r : q;
        }
        return r;
}

int lazyfill_remove(void) {
        return each(mapping_take_down);
}

int lazyfill_remove_later(void) {
        return each(mapping_remove);
}
