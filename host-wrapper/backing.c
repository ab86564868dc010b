/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "backing.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <glob.h>
#include <limits.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "fileio.h"

#define ATTRIBUTE_MAX 8192U /* bytes of a file in sysfs */

/* Returns the name of a file system in RAM, or NULL. devtmpfs, and what the initrd is in, is a tmpfs. */
static const char *ram_file_system(const struct statfs *sfs) {
        unsigned type = (unsigned) sfs->f_type;

        return type == TMPFS_MAGIC       ? "tmpfs"
               : type == RAMFS_MAGIC     ? "ramfs"
               : type == HUGETLBFS_MAGIC ? "hugetlbfs"
                                         : NULL;
}

/* Tells brd, zram, and null_blk, whose blocks are in memory or nowhere, by the kernel's name: "zram0". */
static bool is_ram_driver(const char *name) {
        return fnmatch("ram[0-9]*", name, 0) == 0 || fnmatch("zram[0-9]*", name, 0) == 0 ||
               fnmatch("nullb[0-9]*", name, 0) == 0;
}

/* Reads DIRECTORY/ATTRIBUTE, without its newline. For the caller to free; NULL if there is none. */
static char *read_attribute(const char *directory, const char *attribute) {
        _cleanup_free_ char *path = NULL;
        char *text = NULL;

        if (asprintf(&path, "%s/%s", directory, attribute) < 0 || file_read(path, ATTRIBUTE_MAX, &text) < 0)
                return NULL;
        text[strcspn(text, "\n")] = '\0';
        return text;
}

/* Finds the directory of a disk by that of one of its partitions, too. For the caller to free, or NULL. */
static char *find_disk(const char *directory, char name[static BACKING_NAME_MAX]) {
        char *real = realpath(directory, NULL);
        _cleanup_free_ char *partition = real ? read_attribute(real, "partition") : NULL;

        if (partition)
                *strrchr(real, '/') = '\0';
        if (real)
                (void) snprintf(name, BACKING_NAME_MAX, "%s", strrchr(real, '/') + 1);
        return real;
}

static void format_directory(dev_t device, char ret[static BACKING_NAME_MAX]) {
        (void) snprintf(ret, BACKING_NAME_MAX, "/sys/dev/block/%u:%u", major(device), minor(device));
}

/* Looks at the file below a loop device. A deleted one is still there, and its directory can be asked. */
static bool loop_is_ram(const char *disk, char name[static BACKING_NAME_MAX]) {
        static const char deleted[] = " (deleted)";
        _cleanup_free_ char *file = read_attribute(disk, "loop/backing_file");
        char directory[BACKING_NAME_MAX], *end = file ? strstr(file, deleted) : NULL;
        struct statfs sfs;
        struct stat st;

        if (end && file[0] == '/' && end[strlen(deleted)] == '\0')
                *strrchr(file, '/') = '\0';
        if (!file || statfs(file, &sfs) < 0 || stat(file, &st) < 0)
                return false;
        format_directory(st.st_dev, directory);
        return ram_file_system(&sfs) || backing_find(directory, false, name);
}

/* Tells dm-crypt by its UUID, in which what made a mapping comes first, for cryptsetup in capitals; two of
 * its kinds only check. And zram, if it writes nothing back to a disk. */
static bool is_safe(const char *disk, const char *name) {
        bool ram = is_ram_driver(name);
        _cleanup_free_ char *text = read_attribute(disk, ram ? "backing_dev" : "dm/uuid");

        if (ram || !text)
                return ram && (!text || streq(text, "none"));
        return startswith(text, "CRYPT-") && !startswith(text, "CRYPT-INTEGRITY") &&
               !startswith(text, "CRYPT-VERITY");
}

bool backing_find(const char *directory, bool clear, char name[static BACKING_NAME_MAX]) {
        _cleanup_free_ char *disk = find_disk(directory, name), *slaves = NULL;
        glob_t members;
        bool found;

        if (!disk)
                return clear;
        if (clear ? is_safe(disk, name) : is_ram_driver(name) || loop_is_ram(disk, name))
                return !clear;
        if (asprintf(&slaves, "%s/slaves/*", disk) < 0 || glob(slaves, 0, NULL, &members) != 0)
                return clear;
        found = false;
        for (size_t i = 0; i < members.gl_pathc && !found; i++)
                found = backing_find(members.gl_pathv[i], clear, name);
        globfree(&members);
        return found;
}

/* Asks an overlay, which hides what its upper is on, by a block: a file in RAM has no extents (FIEMAP), nor
 * has one on the few file systems that cannot tell. */
static int overlay_is_ram(int fd) {
        struct {
                struct fiemap map;
                struct fiemap_extent extent;
        } f = { .map = { .fm_length = 4096, .fm_flags = FIEMAP_FLAG_SYNC, .fm_extent_count = 1 } };
        static const char block[4096] = { 1 };
        bool ram;

        if (pwrite(fd, block, sizeof(block), 0) != sizeof(block))
                return -(errno ?: EIO);
        ram = ioctl(fd, FS_IOC_FIEMAP, &f.map) < 0 || f.map.fm_mapped_extents == 0;
        return ftruncate(fd, 0) < 0 ? -errno : ram;
}

int backing_is_ram(int fd, char name[static BACKING_NAME_MAX]) {
        char directory[BACKING_NAME_MAX];
        const char *file_system;
        struct statfs sfs;
        struct stat st;
        bool overlay;

        if (fstatfs(fd, &sfs) < 0 || fstat(fd, &st) < 0)
                return -errno;
        overlay = (unsigned) sfs.f_type == OVERLAYFS_SUPER_MAGIC;
        file_system = overlay ? "an overlay without blocks on a disk" : ram_file_system(&sfs);
        format_directory(st.st_dev, directory);
        if (!file_system)
                return backing_find(directory, false, name);
        (void) snprintf(name, BACKING_NAME_MAX, "%s", file_system);
        return overlay ? overlay_is_ram(fd) : 1;
}

bool backing_is_safe_swap(const char *path) {
        const char *device = startswith(path, "/dev/");
        char directory[PATH_MAX], name[BACKING_NAME_MAX];
        struct stat st;

        if (device)
                (void) snprintf(directory, sizeof(directory), "/sys/class/block/%s", device);
        else if (stat(path, &st) >= 0)
                format_directory(st.st_dev, directory);
        else
                return false;
        return !backing_find(directory, true, name);
}
