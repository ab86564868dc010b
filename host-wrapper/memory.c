/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "memory.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "fileio.h"
#include "log.h"
#include "parse.h"

#define QEMU_DEFAULT_RAM "128M"
#define QEMU_OWN_MEMORY (256 * MIB) /* program, stacks, video RAM, queues: all of it is locked */

#define TABLE_MAX 65536U /* bytes of a file in /proc */

/* Both survive execve(2), which PR_SET_DUMPABLE does not. RLIMIT_CORE keeps the kernel from writing a file,
 * but not from piping the dump to a handler (core(5)); the filter empties what would go down that pipe. */
void memory_forbid_core_dumps(void) {
        static const struct rlimit none = {};
        _cleanup_close_ int fd = -EBADF;

        if (setrlimit(RLIMIT_CORE, &none) < 0)
                (void) log_warning_errno(errno,
                                         "Cannot set RLIMIT_CORE; a crash of the VMM may leave a core dump");
        fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "0", 1) < 0)
                (void) log_warning_errno(errno,
                                         "Cannot set the core dump filter; a core dump handler may still "
                                         "get the VMM's memory");
}

/* What cannot be looked through is not taken for safe. */
static int swap_is_safe(const BackingWorld *world, const char *path) {
        Backing b;
        int r = backing_classify_path(world, path, &b);

        return r < 0 ? r : (b.kind == BACKING_RAM && !b.written_back) || b.encrypted;
}

int memory_find_clear_swap(const char *swaps, const BackingWorld *world, char **ret) {
        const char *line = strchr(swaps, '\n'); /* the first line is a heading */
        int r;

        for (; line && line[1]; line = strchr(line + 1, '\n')) {
                _cleanup_free_ char *path = strndup(line + 1, strcspn(line + 1, " \t\n"));

                if (!path)
                        return -ENOMEM;
                backing_unescape(path);
                r = swap_is_safe(world, path);
                if (r < 0)
                        return r;
                if (r == 0) {
                        *ret = TAKE_PTR(path);
                        return 1;
                }
        }
        return 0;
}

void memory_warn_of_swap(void) {
        _cleanup_free_ char *swaps = NULL, *name = NULL;

        if (file_read("/proc/swaps", TABLE_MAX, &swaps) < 0 ||
            memory_find_clear_swap(swaps, &backing_this_machine, &name) <= 0)
                return;
        log_warning(
                "The swap '%s' is neither zram nor encrypted: guest RAM, with the disk's key in it, may be "
                "written there; use --lock-memory, or encrypt the swap",
                name);
}

/* QEMU counts plain numbers in MiB, takes fractions, and suffixes in either case. */
int memory_parse_size(const char *s, uint64_t *ret) {
        static const char suffixes[] = "BKMGTbkmgt";
        const char *size = startswith(s ?: QEMU_DEFAULT_RAM, "size=") ?: s ?: QEMU_DEFAULT_RAM, *suffix;
        char *end;
        double n = strtod(size, &end);

        suffix = *end && *end != ',' ? strchr(suffixes, *end++) : strchr(suffixes, 'M');
        if (*size < '0' || *size > '9' || !suffix || (*end && *end != ','))
                return -EINVAL;
        n *= (double) (UINT64_C(1) << (suffix - suffixes) % 5 * 10);
        if (!(n < 0x1p62))
                return -EINVAL;
        *ret = (uint64_t) n;
        return 0;
}

/* CAP_IPC_LOCK lifts the limit, but not that of a user namespace, which has another map of users than all of
 * them. libcap for one bit would be a library more to load. */
static bool may_lock_all(void) {
        _cleanup_free_ char *map = NULL;
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};

        if (file_read("/proc/self/uid_map", TABLE_MAX, &map) >= 0 && !strstr(map, "4294967295"))
                return false;
        return syscall(SYS_capget, &header, data) >= 0 && (data[0].effective & (1U << CAP_IPC_LOCK));
}

int memory_allow_lock(const char *ram) {
        struct rlimit limit;
        uint64_t size;

        if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
                return log_error_errno(errno, "Cannot read RLIMIT_MEMLOCK");
        limit.rlim_cur = limit.rlim_max;
        (void) setrlimit(RLIMIT_MEMLOCK, &limit);
        if (memory_parse_size(ram, &size) < 0) /* QEMU will say what it does not like about it */
                return 0;
        size += QEMU_OWN_MEMORY;
        if (may_lock_all() || limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= size)
                return 0;
        log_error(
                "--lock-memory needs a RLIMIT_MEMLOCK of %llu MiB, the guest's RAM and QEMU's own, not %llu "
                "KiB; raise it (LimitMEMLOCK= of the unit, or limits.conf(5))",
                (unsigned long long) (size / MIB), (unsigned long long) (limit.rlim_max / KIB));
        return -EPERM;
}
