/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "backing.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "fileio.h"

#define ZFS_MAGIC 0x2fc12fc1U
#define BCACHEFS_MAGIC 0xca451a4eU

#define ATTRIBUTE_MAX 8192U /* bytes of a file in sysfs */

/* No sane stack is this deep; a loop of recorded or hostile names is. */
#define DEPTH_MAX 16U

typedef struct Walk {
        const BackingWorld *world;
        unsigned depth;
} Walk;

static int classify_path(Walk w, const char *path, Backing *b);
static int classify_device(Walk w, const char *directory, const char *name, Backing *b);

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

/* What is wrong with this process says nothing of the world. */
static bool is_own_trouble(int r) {
        return r == -EMFILE || r == -ENFILE || r == -ENOMEM;
}

void backing_unescape(char *s) {
        char *out = s;

        for (; *s; out++) {
                unsigned c;

                if (*s == '\\' && strspn(s + 1, "01234567") >= 3 && sscanf(s + 1, "%3o", &c) == 1) {
                        *out = (char) c;
                        s += 4;
                } else
                        *out = *s++;
        }
        *out = '\0';
}

/* "SYSFS/DIRECTORY/NAME/ATTRIBUTE", without its newline, for the caller to free. */
static int read_attribute(Walk w, const char *directory, const char *name, const char *attribute,
                          char **ret) {
        _cleanup_free_ char *path = NULL;
        int r;

        if (asprintf(&path, "%s/%s/%s/%s", w.world->sysfs, directory, name, attribute) < 0)
                return -ENOMEM;
        r = file_read(path, ATTRIBUTE_MAX, ret);
        if (r >= 0)
                (*ret)[strcspn(*ret, "\n")] = '\0';
        return r;
}

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

/* The device mapper's UUID of a mapping starts with the name of what made it, for cryptsetup in capitals.
 * Two of its kinds only check. */
static bool device_is_encrypted(Walk w, const char *name) {
        _cleanup_free_ char *uuid = NULL;

        return read_attribute(w, "block", name, "dm/uuid", &uuid) >= 0 && startswith(uuid, "CRYPT-") &&
               !startswith(uuid, "CRYPT-INTEGRITY") && !startswith(uuid, "CRYPT-VERITY");
}

/* zram that writes what it has no use for back to a disk. */
static bool device_writes_back(Walk w, const char *name) {
        _cleanup_free_ char *disk = NULL;

        return read_attribute(w, "block", name, "backing_dev", &disk) >= 0 && !streq(disk, "none");
}

/* A deleted file's loop device goes on; its directory is still there to be asked. */
static int classify_loop_file(Walk w, char *path, Backing *b) {
        static const char deleted[] = " (deleted)";
        size_t n = strlen(path);

        if (path[0] == '/' && n > strlen(deleted) && streq(path + n - strlen(deleted), deleted)) {
                char *slash = strrchr(path, '/');
                slash[slash == path] = '\0';
        }
        chain_add(b, " over ");
        return classify_path(w, path, b);
}

/* 1: there are members, and b becomes the worst of them; 0: none. */
static int classify_members(Walk w, const char *disk, Backing *b) {
        _cleanup_free_ char *path = NULL;
        _cleanup_closedir_ DIR *dir = NULL;
        bool any = false, encrypted = true;
        Backing worst = {};
        int r;

        if (asprintf(&path, "%s/block/%s/slaves", w.world->sysfs, disk) < 0)
                return -ENOMEM;
        dir = opendir(path);
        if (!dir && is_own_trouble(-errno))
                return -errno;
        for (struct dirent *e; dir && (e = readdir(dir));) {
                Backing member = *b;

                if (e->d_name[0] == '.')
                        continue;
                chain_add(&member, " over ");
                r = classify_device(w, "class/block", e->d_name, &member);
                if (r < 0)
                        return r;
                encrypted = encrypted && member.encrypted;
                if (!any || member.kind > worst.kind)
                        worst = member;
                any = true;
        }
        worst.encrypted = encrypted;
        if (any)
                *b = worst;
        return any;
}

/* Of what only the kernel has: by its drivers' names, and by what lies below. */
static int classify_virtual(Walk w, const char *disk, Backing *b) {
        _cleanup_free_ char *file = NULL;
        int r;

        b->written_back = b->written_back || device_writes_back(w, disk);
        b->encrypted = b->encrypted || device_is_encrypted(w, disk);
        if (device_is_ram(disk))
                return finish(b, BACKING_RAM);
        r = read_attribute(w, "block", disk, "loop/backing_file", &file);
        if (r >= 0)
                return classify_loop_file(w, file, b);
        if (!is_own_trouble(r))
                r = classify_members(w, disk, b);
        return r == 0 ? finish(b, BACKING_DISK) : r < 0 ? r : 0;
}

/* directory/name is the device's link in sysfs, ".../virtual/block/loop0/loop0p1": what is below another
 * directory than "virtual" has hardware. */
static int classify_device(Walk w, const char *directory, const char *name, Backing *b) {
        static const char virtual[] = "/virtual/block/";
        _cleanup_free_ char *path = NULL;
        char link[PATH_MAX] = "", *disk;

        if (asprintf(&path, "%s/%s/%s", w.world->sysfs, directory, name) < 0)
                return -ENOMEM;
        if (++w.depth > DEPTH_MAX || readlink(path, link, sizeof(link) - 1) < 0 || !strchr(link, '/')) {
                chain_add(b, "device %s, of which sysfs knows nothing", name);
                return finish(b, BACKING_UNKNOWN);
        }
        disk = strstr(link, virtual);
        if (!disk) {
                chain_add(b, "%s", strrchr(link, '/') + 1);
                return finish(b, BACKING_DISK);
        }
        disk += strlen(virtual);
        disk[strcspn(disk, "/")] = '\0';
        chain_add(b, "%s", disk);
        return classify_virtual(w, disk, b);
}

/* What the mount table (proc_pid_mountinfo(5)) says of a mount behind its " - ". Each for the caller to
 * free. */
static int find_mount(Walk w, int id, char **ret_type, char **ret_source, char **ret_options) {
        _cleanup_fclose_ FILE *f = fopen(w.world->mountinfo, "re");
        _cleanup_free_ char *line = NULL;
        size_t size = 0;

        while (f && getline(&line, &size, f) >= 0) {
                const char *rest = strstr(line, " - ");

                if (atoi(line) == id && rest)
                        return sscanf(rest, " - %ms %ms %ms", ret_type, ret_source, ret_options) == 3
                                       ? 0
                                       : -EBADMSG;
        }
        return f ? -ENOENT : -errno;
}

/* Up to the next option; a comma of the value is escaped. NULL if there is none. */
static char *find_upper(char *options) {
        static const char key[] = ",upperdir=";
        char *upper = strstr(options, key);

        if (!upper)
                return NULL;
        upper += strlen(key);
        upper[strcspn(upper, ",")] = '\0';
        backing_unescape(upper);
        return upper;
}

/* What is on no single device: an overlay, several devices, a network. */
static int classify_by_mount_table(Walk w, const BackingFile *f, Backing *b) {
        _cleanup_free_ char *type = NULL, *source = NULL, *options = NULL;
        char *upper;
        int r;

        r = find_mount(w, f->mount_id, &type, &source, &options);
        if (is_own_trouble(r))
                return r;
        if (r < 0) {
                chain_add(b, "a mount that is not in the mount table");
                b->hidden = f->type == OVERLAYFS_SUPER_MAGIC;
                return finish(b, BACKING_UNKNOWN);
        }
        chain_add(b, "%s", type);
        if (f->type == BTRFS_SUPER_MAGIC || f->type == BCACHEFS_MAGIC) {
                chain_add(b, " on ");
                return classify_path(w, source, b); /* the first of its devices */
        }
        if (f->type != OVERLAYFS_SUPER_MAGIC)
                return finish(b, BACKING_UNKNOWN);
        upper = find_upper(options);
        chain_add(b, " over %s", upper ? "" : "no upper");
        r = upper ? classify_path(w, upper, b) : finish(b, BACKING_UNKNOWN);
        b->hidden = upper && b->kind == BACKING_UNKNOWN;
        return r;
}

static int classify_file(Walk w, const BackingFile *f, Backing *b) {
        static const struct {
                unsigned type;
                BackingKind kind;
                const char *name;
        } types[] = {
                { TMPFS_MAGIC, BACKING_RAM, "tmpfs" }, /* and devtmpfs, and what the initrd is in */
                { RAMFS_MAGIC, BACKING_RAM, "ramfs" },
                { HUGETLBFS_MAGIC, BACKING_RAM, "hugetlbfs" },
                { ZFS_MAGIC, BACKING_DISK, "zfs" }, /* of disks, and sysfs does not say of which */
        };
        char number[32];

        for (size_t i = 0; i < ELEMENTSOF(types) && !f->device; i++)
                if (f->type == types[i].type) {
                        chain_add(b, "%s", types[i].name);
                        return finish(b, types[i].kind);
                }
        if (!f->device && (major(f->dev) == 0 || f->type == OVERLAYFS_SUPER_MAGIC))
                return classify_by_mount_table(w, f, b);
        (void) snprintf(number, sizeof(number), "%u:%u", major(f->dev), minor(f->dev));
        return classify_device(w, "dev/block", number, b);
}

/* Somebody else wrote the path down: it may be gone, or be that of another mount namespace. Devices have
 * their names in sysfs, also where /dev has not the host's. */
static int classify_path(Walk w, const char *path, Backing *b) {
        const char *name = startswith(path, "/dev/");
        _cleanup_free_ char *device = NULL;
        BackingFile f = {};
        int r;

        if (asprintf(&device, "%s/class/block/%s", w.world->sysfs, name ?: "") < 0)
                return -ENOMEM;
        if (name && !strchr(name, '/') && access(device, F_OK) >= 0)
                return classify_device(w, "class/block", name, b);
        r = path[0] == '/' && ++w.depth <= DEPTH_MAX ? w.world->look(path, &f) : -ENOENT;
        if (is_own_trouble(r))
                return r;
        if (r < 0) {
                chain_add(b, "'%s', which is not visible here", path);
                return finish(b, BACKING_UNKNOWN);
        }
        return classify_file(w, &f, b);
}

int backing_classify_path(const BackingWorld *world, const char *path, Backing *ret) {
        *ret = (Backing) {};
        return classify_path((Walk) { .world = world }, path, ret);
}

static int look_at_fd(int fd, BackingFile *ret) {
        struct statfs sfs;
        struct statx sx;

        if (fstatfs(fd, &sfs) < 0 ||
            statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_MNT_ID, &sx) < 0)
                return -errno;
        *ret = (BackingFile) {
                .device = S_ISBLK(sx.stx_mode),
                .dev = S_ISBLK(sx.stx_mode) ? makedev(sx.stx_rdev_major, sx.stx_rdev_minor)
                                            : makedev(sx.stx_dev_major, sx.stx_dev_minor),
                .type = (unsigned) sfs.f_type,
                .mount_id = sx.stx_mask & STATX_MNT_ID ? (int) sx.stx_mnt_id : -1,
        };
        return 0;
}

static int look_at_path(const char *path, BackingFile *ret) {
        _cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);

        return fd < 0 ? -errno : look_at_fd(fd, ret);
}

const BackingWorld backing_this_machine = {
        .sysfs = "/sys",
        .mountinfo = "/proc/self/mountinfo",
        .look = look_at_path,
};

int backing_classify_fd(int fd, Backing *ret) {
        BackingFile f;
        int r;

        *ret = (Backing) {};
        r = look_at_fd(fd, &f);
        return r < 0 ? r : classify_file((Walk) { .world = &backing_this_machine }, &f, ret);
}
