/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "memory.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "file.h"
#include "log.h"
#include "parse.h"

#define QEMU_DEFAULT_RAM (128 * MIB)
#define QEMU_OWN_MEMORY (256 * MIB) /* program, stacks, video RAM, queues: all of it is locked */

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

/* The table has the host's names, which a container may not have in its /dev; sysfs has them. */
static int swap_number(const char *path, unsigned *ret_major, unsigned *ret_minor) {
        _cleanup_free_ char *file = NULL, *text = NULL;
        const char *name = startswith(path, "/dev/");

        if (!name || strchr(name, '/') || asprintf(&file, "/sys/class/block/%s/dev", name) < 0 ||
            file_read_at(AT_FDCWD, file, &text) < 0)
                return -ENOENT;
        return sscanf(text, "%u:%u", ret_major, ret_minor) == 2 ? 0 : -ENOENT;
}

/* A device or a file: what cannot be looked through is not taken for safe. */
static int swap_is_safe(const char *path, const BackingWorld *world) {
        Backing b = { .kind = BACKING_UNKNOWN };
        unsigned major, minor;
        int r;

        if (world->path_to_device(path, &major, &minor) >= 0 || swap_number(path, &major, &minor) >= 0)
                r = backing_classify_device(world, major, minor, &b);
        else {
                r = world->path_to_mount(world, path);
                if (r >= 0)
                        r = backing_classify_mount(world, r, &b);
        }
        if (r == -ENOMEM)
                return r;
        return (b.kind == BACKING_RAM && !b.written_back) || b.encrypted;
}

int memory_find_clear_swap(const char *swaps, const BackingWorld *world, char **ret) {
        const char *line = strchr(swaps, '\n'); /* the first line is a heading */
        int r;

        for (; line && line[1]; line = strchr(line + 1, '\n')) {
                _cleanup_free_ char *path = strndup(line + 1, strcspn(line + 1, " \t\n"));

                if (!path)
                        return -ENOMEM;
                file_unescape(path);
                r = swap_is_safe(path, world);
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
        _cleanup_(backing_host_done) BackingHost host = { .world.sysfs_fd = -EBADF };
        _cleanup_free_ char *swaps = NULL, *name = NULL;

        /* Without swap there is only the heading, and nothing more to read. */
        if (file_read_at(AT_FDCWD, "/proc/swaps", &swaps) < 0 || !strchr(swaps, '\n'))
                return;
        if (backing_host_open(&host) < 0 || memory_find_clear_swap(swaps, &host.world, &name) <= 0)
                return;
        log_warning(
                "The swap '%s' is neither zram nor encrypted: guest RAM, with the disk's key in it, may be "
                "written there; use --lock-memory, or encrypt the swap",
                name);
}

/* QEMU counts plain numbers in MiB, takes fractions, and suffixes in either case. */
int memory_parse_size(const char *s, uint64_t *ret) {
        static const char suffixes[] = "bkmgt";
        const char *size;
        char *end;
        double n;
        int shift = 20;

        if (!s) {
                *ret = QEMU_DEFAULT_RAM;
                return 0;
        }
        size = startswith(s, "size=") ?: s;
        if (*size < '0' || *size > '9')
                return -EINVAL;
        n = strtod(size, &end);
        if (*end && *end != ',') {
                const char *suffix = strchr(suffixes, *end | 0x20);
                if (!suffix || (end[1] && end[1] != ','))
                        return -EINVAL;
                shift = (int) (suffix - suffixes) * 10;
        }
        n *= (double) (UINT64_C(1) << shift);
        if (!(n >= 0 && n < 0x1p62))
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

        if (file_read_at(AT_FDCWD, "/proc/self/uid_map", &map) >= 0 && !strstr(map, "4294967295"))
                return false;
        return syscall(SYS_capget, &header, data) >= 0 && (data[0].effective & (1U << CAP_IPC_LOCK));
}

int memory_allow_lock(uint64_t size) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
                return log_error_errno(errno, "Cannot read RLIMIT_MEMLOCK");
        limit.rlim_cur = limit.rlim_max;
        (void) setrlimit(RLIMIT_MEMLOCK, &limit);
        size += QEMU_OWN_MEMORY;
        if (may_lock_all() || limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= size)
                return 0;
        log_error(
                "--lock-memory needs a RLIMIT_MEMLOCK of %llu MiB, the guest's RAM and QEMU's own, not %llu "
                "KiB; raise it (LimitMEMLOCK= of the unit, or limits.conf(5))",
                (unsigned long long) (size / MIB), (unsigned long long) (limit.rlim_max / KIB));
        return -EPERM;
}
