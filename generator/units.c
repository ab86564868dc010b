/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "units.h"

#include "mounts.h"
#include "services.h"

int units_write(const Writer *w) {
        int r;

        r = services_write(w);
        /* A disk that is hot-plugged is mounted by what sets it up: no boot has anything to do with it. */
        if (r >= 0 && w->config->hotplug)
                return services_write_around_pool(w);
        if (r >= 0)
                r = mounts_write(w);
        return r >= 0 && !writer_in_initrd(w) ? services_write_for_system(w) : r;
}

int units_write_mounts(const Writer *w) {
        int r, q;

        r = mounts_write(w);
        q = services_write_for_system(w);
        return r < 0 ? r : q;
}
