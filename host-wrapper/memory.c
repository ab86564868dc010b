/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "memory.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "log.h"
#include "swap.h"

/* Both survive execve(2), which PR_SET_DUMPABLE does not. RLIMIT_CORE keeps the kernel from writing a file,
 * but not from piping the dump to a handler (core(5)); the filter empties what would go down that pipe. */
void memory_forbid_core_dumps(void) {
        static const struct rlimit none = {};
        _cleanup_close_ int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);

        if (setrlimit(RLIMIT_CORE, &none) < 0 || fd < 0 || write(fd, "0", 1) < 0)
                log_warning("Cannot forbid core dumps; a crash of QEMU may leave guest RAM");
}

void memory_warn_of_swap(void) {
        _cleanup_free_ char *path = swap_find_clear("");

        if (path)
                log_warning(
                        "Guest RAM, with the disk's key in it, may be written to the swap '%s', which is "
                        "neither zram nor encrypted; use --lock-memory, or encrypt it",
                        path);
}

void memory_raise_lock_limit(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_MEMLOCK, &limit) >= 0) {
                limit.rlim_cur = limit.rlim_max;
                (void) setrlimit(RLIMIT_MEMLOCK, &limit);
        }
}
