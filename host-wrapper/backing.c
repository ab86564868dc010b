/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "backing.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "file.h"
#include "mountinfo.h"

/* No sane stack is this deep; a loop of recorded or hostile names is. */
#define DEPTH_MAX 16U

static int classify_mount(const BackingWorld *world, int mount_id, unsigned depth, Backing *b);
static int classify_device(const BackingWorld *world, unsigned major, unsigned minor, unsigned depth,
                           Backing *b);

static void chain_add(Backing *b, const char *format, ...) _printf_(2, 3);
static void chain_add(Backing *b, const char *format, ...) {
        size_t used = strlen(b->chain);
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(b->chain + used, sizeof(b->chain) - used, format, ap);
        va_end(ap);
}

static int finish(Backing *b, BackingKind kind) {
        b->kind = kind;
        return 0;
}

static bool in_list(const char *s, const char *const *list, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (streq(s, list[i]))
                        return true;
        return false;
}
#define is_one_of(s, ...)                                 \
        in_list(s, (const char *const[]) { __VA_ARGS__ }, \
                ELEMENTSOF(((const char *const[]) { __VA_ARGS__ })))

/* brd, zram, and null_blk, whose blocks are in memory or nowhere: name is the kernel's, "zram0" */
static bool device_is_ram(const char *name) {
        static const char *const drivers[] = { "ram", "zram", "nullb" };

        for (size_t i = 0; i < ELEMENTSOF(drivers); i++) {
                const char *number = startswith(name, drivers[i]);
                if (number && *number >= '0' && *number <= '9')
                        return true;
        }
        return false;
}

/* What is wrong with this process says nothing of the world. */
static bool is_own_trouble(int r) {
        return r == -EMFILE || r == -ENFILE || r == -ENOMEM;
}

/* Follows a file whose path somebody else wrote down: it may be gone, or be that of another mount namespace.
 */
static int classify_path(const BackingWorld *world, const char *path, unsigned depth, Backing *b) {
        int id;

        id = path[0] == '/' ? world->path_to_mount(world, path) : -ENOENT;
        if (is_own_trouble(id))
                return id;
        if (id < 0) {
                chain_add(b, "'%s', which is not visible here", path);
                return finish(b, BACKING_UNKNOWN);
        }
        return classify_mount(world, id, depth + 1, b);
}

/* A deleted file's loop device goes on; its directory is still there to be asked. */
static int classify_loop_file(const BackingWorld *world, char *path, unsigned depth, Backing *b) {
        static const char deleted[] = " (deleted)";
        size_t n = strlen(path);

        if (n > strlen(deleted) && streq(path + n - strlen(deleted), deleted)) {
                path[n - strlen(deleted)] = '\0';
                char *slash = strrchr(path, '/');
                if (slash && slash != path)
                        *slash = '\0';
        }
        return classify_path(world, path, depth, b);
}

static int classify_device_file(const BackingWorld *world, int dir_fd, const char *path, unsigned depth,
                                Backing *b) {
        _cleanup_free_ char *text = NULL;
        unsigned major, minor;
        int r;

        r = file_read_at(dir_fd, path, &text);
        if (is_own_trouble(r))
                return r;
        if (r < 0 || sscanf(text, "%u:%u", &major, &minor) != 2) {
                chain_add(b, "a device that sysfs does not name");
                return finish(b, BACKING_UNKNOWN);
        }
        return classify_device(world, major, minor, depth + 1, b);
}

/* One member in RAM is enough. 1: there were members and ret says of what kind, 0: none. */
static int classify_slaves(const BackingWorld *world, int dir_fd, unsigned depth, Backing *b) {
        _cleanup_(closedirp) DIR *dir = file_open_dir_at(dir_fd, "slaves");
        Backing worst = {};
        bool any = false;
        int r;

        for (struct dirent *e; dir && (e = readdir(dir));) {
                char path[sizeof("slaves//dev") + NAME_MAX];
                Backing member = *b;

                if (e->d_name[0] == '.')
                        continue;
                (void) snprintf(path, sizeof(path), "slaves/%s/dev", e->d_name);
                chain_add(&member, " over ");
                r = classify_device_file(world, dir_fd, path, depth, &member);
                if (r < 0)
                        return r;
                member.encrypted = member.encrypted && (!any || worst.encrypted);
                if (!any || member.kind == BACKING_RAM || worst.kind == BACKING_DISK)
                        worst = member;
                worst.encrypted = member.encrypted;
                any = true;
                if (member.kind == BACKING_RAM)
                        break;
        }
        if (any)
                *b = worst;
        return any;
}

/* The device mapper's UUID of a mapping starts with the name of what made it, for cryptsetup in capitals.
 * Two of its kinds only check. */
static bool device_is_encrypted(int dir_fd) {
        _cleanup_free_ char *uuid = NULL;

        return file_read_at(dir_fd, "dm/uuid", &uuid) >= 0 && startswith(uuid, "CRYPT-") &&
               !startswith(uuid, "CRYPT-INTEGRITY") && !startswith(uuid, "CRYPT-VERITY");
}

/* zram that writes what it has no use for back to a disk. */
static bool device_writes_back(int dir_fd) {
        _cleanup_free_ char *disk = NULL;

        return file_read_at(dir_fd, "backing_dev", &disk) >= 0 && !streq(disk, "none");
}

static int classify_device(const BackingWorld *world, unsigned major, unsigned minor, unsigned depth,
                           Backing *b) {
        _cleanup_free_ char *uevent = NULL, *name = NULL, *file = NULL;
        _cleanup_close_ int dir_fd = -EBADF;
        char number[32];
        int r;

        (void) snprintf(number, sizeof(number), "%u:%u", major, minor);
        dir_fd = openat(world->sysfs_fd, number, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0 && is_own_trouble(-errno))
                return -errno;
        if (depth > DEPTH_MAX || dir_fd < 0 || file_read_at(dir_fd, "uevent", &uevent) < 0 ||
            file_get_variable(uevent, "DEVNAME", &name) < 0) {
                chain_add(b, "device %s, of which sysfs knows nothing", number);
                return finish(b, BACKING_UNKNOWN);
        }

        chain_add(b, "%s", name);
        b->written_back = b->written_back || device_writes_back(dir_fd);
        if (device_is_ram(name))
                return finish(b, BACKING_RAM);
        b->encrypted = b->encrypted || device_is_encrypted(dir_fd);
        if (faccessat(dir_fd, "partition", F_OK, 0) >= 0) {
                chain_add(b, " of ");
                return classify_device_file(world, dir_fd, "../dev", depth, b);
        }
        if (file_read_at(dir_fd, "loop/backing_file", &file) >= 0) {
                chain_add(b, " over ");
                return classify_loop_file(world, file, depth, b);
        }
        r = classify_slaves(world, dir_fd, depth, b);
        if (r != 0)
                return r < 0 ? r : 0;
        return finish(b, BACKING_DISK);
}

/* Takes one level of backslashes away, in place. */
static void remove_backslashes(char *s) {
        char *out = s;

        for (; *s; s++) {
                if (s[0] == '\\' && s[1])
                        s++;
                *out++ = *s;
        }
        *out = '\0';
}

/* The upper is shown as it was given: with overlayfs's own backslashes by mount(2), without by fsconfig(2).
 * */
static int classify_overlay(const BackingWorld *world, const Mount *m, unsigned depth, Backing *b) {
        _cleanup_free_ char *upper = NULL;
        int r;

        r = mount_get_option(m, "upperdir", &upper);
        if (r < 0)
                return r;
        chain_add(b, " over ");
        if (r == 0) {
                chain_add(b, "no upper");
                return finish(b, BACKING_UNKNOWN);
        }
        if (world->path_to_mount(world, upper) == -ENOENT)
                remove_backslashes(upper);
        r = classify_path(world, upper, depth, b);
        b->hidden = r >= 0 && b->kind == BACKING_UNKNOWN;
        return r;
}

static int classify_mount(const BackingWorld *world, int mount_id, unsigned depth, Backing *b) {
        _cleanup_(mount_done) Mount m = {};
        unsigned major, minor;
        int r;

        r = depth <= DEPTH_MAX ? mountinfo_find_id(world->mountinfo, mount_id, &m) : -ELOOP;
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                chain_add(b, "a mount that is not in the mount table");
                return finish(b, BACKING_UNKNOWN);
        }

        chain_add(b, "%s", m.type);
        if (is_one_of(m.type, "tmpfs", "ramfs", "devtmpfs", "rootfs", "hugetlbfs"))
                return finish(b, BACKING_RAM);
        if (streq(m.type, "overlay"))
                return classify_overlay(world, &m, depth, b);
        if (streq(m.type, "zfs")) /* pools are made of disks, and sysfs does not say of which */
                return finish(b, BACKING_DISK);

        major = m.major;
        minor = m.minor;
        /* btrfs and bcachefs may be on several devices and have a number of their own: ask the first. */
        if (major == 0 &&
            (!is_one_of(m.type, "btrfs", "bcachefs") || world->path_to_device(m.source, &major, &minor) < 0))
                return finish(b, BACKING_UNKNOWN);
        chain_add(b, " on ");
        return classify_device(world, major, minor, depth + 1, b);
}

int backing_classify_mount(const BackingWorld *world, int mount_id, Backing *ret) {
        Backing b = {};
        int r;

        r = classify_mount(world, mount_id, 0, &b);
        if (r >= 0)
                *ret = b;
        return r;
}

int backing_classify_device(const BackingWorld *world, unsigned major, unsigned minor, Backing *ret) {
        Backing b = {};
        int r;

        r = classify_device(world, major, minor, 0, &b);
        if (r >= 0)
                *ret = b;
        return r;
}

static int fd_to_mount(int fd) {
        struct statx sx;

        if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &sx) < 0)
                return -errno;
        return sx.stx_mask & STATX_MNT_ID ? (int) sx.stx_mnt_id : -EOPNOTSUPP;
}

static int real_path_to_mount(const BackingWorld *world, const char *path) {
        _cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);

        return fd < 0 ? -errno : fd_to_mount(fd);
}

static int real_path_to_device(const char *path, unsigned *ret_major, unsigned *ret_minor) {
        struct stat st;

        if (stat(path, &st) < 0)
                return -errno;
        if (!S_ISBLK(st.st_mode))
                return -ENOTBLK;
        *ret_major = major(st.st_rdev);
        *ret_minor = minor(st.st_rdev);
        return 0;
}

int backing_host_open(BackingHost *ret) {
        BackingHost h = {
                .world.path_to_mount = real_path_to_mount,
                .world.path_to_device = real_path_to_device,
        };

        int r = file_read_at(AT_FDCWD, "/proc/self/mountinfo", &h.mountinfo);

        if (is_own_trouble(r))
                return r;
        h.world.mountinfo = h.mountinfo ?: "";
        h.world.sysfs_fd = open("/sys/dev/block", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (h.world.sysfs_fd < 0 && is_own_trouble(-errno)) {
                r = -errno;
                backing_host_done(&h);
                return r;
        }
        *ret = h;
        return 0;
}

void backing_host_done(BackingHost *h) {
        safe_close(h->world.sysfs_fd);
        free(h->mountinfo);
}

int backing_classify_fd(int fd, Backing *ret) {
        _cleanup_(backing_host_done) BackingHost host = { .world.sysfs_fd = -EBADF };
        struct statfs sfs;
        int r;

        /* The common refusal needs no tables, and must not depend on /proc being mounted. */
        if (fstatfs(fd, &sfs) < 0)
                return -errno;
        if (sfs.f_type == TMPFS_MAGIC || sfs.f_type == RAMFS_MAGIC) {
                *ret = (Backing) { .kind = BACKING_RAM };
                chain_add(ret, "%s", sfs.f_type == TMPFS_MAGIC ? "tmpfs" : "ramfs");
                return 0;
        }

        r = backing_host_open(&host);
        if (r < 0)
                return r;
        return backing_classify_mount(&host.world, fd_to_mount(fd), ret);
}
