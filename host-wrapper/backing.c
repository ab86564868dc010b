/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "backing.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "blockstack.h"
#include "fileio.h"

/* Returns the name of a file system in RAM, or NULL. devtmpfs, and what the initrd is in, is a tmpfs. */
static const char *ram_file_system(const struct statfs *sfs) {
        unsigned type = (unsigned) sfs->f_type;

        return type == TMPFS_MAGIC       ? "tmpfs"
               : type == RAMFS_MAGIC     ? "ramfs"
               : type == HUGETLBFS_MAGIC ? "hugetlbfs"
                                         : NULL;
}

static void format_directory(dev_t device, char ret[static BACKING_NAME_MAX]) {
        (void) snprintf(ret, BACKING_NAME_MAX, "/sys/dev/block/%u:%u", major(device), minor(device));
}

/* Looks at the file below a loop device. A deleted one is still there, and its directory can be asked. */
static bool loop_is_ram(const BlockDevice *d) {
        static const char deleted[] = " (deleted)";
        _cleanup_free_ char *file = attribute_read("%s/loop/backing_file", d->directory);
        char directory[BACKING_NAME_MAX], name[BACKING_NAME_MAX], *end = file ? strstr(file, deleted) : NULL;
        struct statfs sfs;
        struct stat st;

        if (end && file[0] == '/' && end[strlen(deleted)] == '\0')
                *strrchr(file, '/') = '\0';
        if (!file || statfs(file, &sfs) < 0 || stat(file, &st) < 0)
                return false;
        format_directory(st.st_dev, directory);
        return ram_file_system(&sfs) || backing_find(directory, name);
}

/* Ends the walk at a device in RAM; name: a buffer for its name. */
static int visit(const BlockDevice *d, void *name) {
        if (!d->directory || (!block_is_ram(d->name) && !loop_is_ram(d)))
                return 0;
        (void) snprintf(name, BACKING_NAME_MAX, "%s", d->name);
        return -EEXIST;
}

bool backing_find(const char *directory, char name[static BACKING_NAME_MAX]) {
        return blockstack_walk(directory, visit, name) == -EEXIST;
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
                return backing_find(directory, name);
        (void) snprintf(name, BACKING_NAME_MAX, "%s", file_system);
        return overlay ? overlay_is_ram(fd) : 1;
}
