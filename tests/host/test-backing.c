/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a directory is on, told from recorded mount tables and /sys/dev/block trees: also for devices that
 * the kernel of this machine does not have. */

#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "backing.h"
#include "fileio.h"
#include "memory.h"
#include "test.h"

/* Not in linux/magic.h of every kernel. */
#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif

/* A block device as sysfs shows it: its number, its directory below devices/, and what makes it special. */
typedef struct Device {
        const char *number, *dir;
        const char *backing_file; /* loop */
        const char *slaves[3];
        const char *uuid;        /* device mapper */
        const char *backing_dev; /* zram */
} Device;

static const Device devices[] = {
        { "1:0", "virtual/block/ram0" },
        { "7:0", "virtual/block/loop0", .backing_file = "/var/lib/images/a b" },
        { "7:1", "virtual/block/loop1", .backing_file = "/tmp/image" },
        { "7:2", "virtual/block/loop2", .backing_file = "/tmp/image (deleted)" },
        { "7:3", "virtual/block/loop3", .backing_file = "/nowhere/image" },
        { "7:4", "virtual/block/loop4", .backing_file = "/loop4/image" },
        { "7:5", "virtual/block/loop5", .backing_file = "image" },
        { "7:6", "virtual/block/loop6", .backing_file = " (deleted)" },
        { "8:0", "pci0000:00/block/sda" },
        { "8:1", "pci0000:00/block/sda/sda1" },
        { "8:2", "pci0000:00/block/sda/ram2" },
        { "9:0", "virtual/block/md0", .slaves = { "sda1", "ram0" } },
        { "252:0", "virtual/block/zram0", .backing_dev = "none\n" },
        { "252:1", "virtual/block/zram1", .backing_dev = "/dev/sda1\n" },
        { "253:0", "virtual/block/dm-0", .slaves = { "sda1" } },
        { "253:1", "virtual/block/dm-1", .slaves = { "zram0" } },
        { "253:2", "virtual/block/dm-2", .slaves = { "dm-1" } },
        { "253:3", "virtual/block/dm-3", .slaves = { "dm-3" } },
        { "253:5", "virtual/block/dm-5", .slaves = { "sda1" }, .uuid = "CRYPT-PLAIN-swap\n" },
        { "253:6", "virtual/block/dm-6", .slaves = { "dm-5" }, .uuid = "LVM-x\n" },
        { "253:7", "virtual/block/dm-7", .slaves = { "dm-5", "sda" }, .uuid = "LVM-y\n" },
        { "253:8", "virtual/block/dm-8", .slaves = { "sda", "dm-5" }, .uuid = "LVM-z\n" },
        { "253:9", "virtual/block/dm-9", .slaves = { "loop1" }, .uuid = "CRYPT-LUKS2-x\n" },
        { "253:10", "virtual/block/dm-10", .slaves = { "sda1" }, .uuid = "CRYPT-INTEGRITY-x\n" },
        { "253:4", "virtual/block/dm-4", .slaves = { "gone" } },
        { "259:0", "virtual/block/nullb0" },
        { "259:1", "virtual/block/loop1/loop1p1" },
        { "259:2", "virtual/block/ramdisk" },
        { "259:3", "virtual/nvme-subsystem/nvme-subsys0/nvme0n1" },
};

/* Mounts; each one's ID is its index. The last one on a place is on top. */
static const struct {
        const char *target, *type, *source, *options;
        unsigned magic, major, minor;
} mounts[] = {
        { "/", "ext4", "/dev/sda1", "rw", EXT4_SUPER_MAGIC, 8, 1 },
        { "/tmp", "tmpfs", "tmpfs", "rw", TMPFS_MAGIC, 0, 20 },
        { "/a", "ramfs", "ramfs", "rw", RAMFS_MAGIC, 0, 21 },
        { "/dev", "devtmpfs", "udev", "rw", TMPFS_MAGIC, 0, 5 },
        { "/huge", "hugetlbfs", "none", "rw", HUGETLBFS_MAGIC, 0, 30 },
        { "/btrfs", "btrfs", "/dev/sda1", "rw", BTRFS_SUPER_MAGIC, 0, 31 },
        { "/btrfs\\040ram", "btrfs", "/dev/zram0", "rw", BTRFS_SUPER_MAGIC, 0, 32 },
        { "/btrfs-lost", "btrfs", "/dev/lost", "rw", BTRFS_SUPER_MAGIC, 0, 33 },
        { "/btrfs-mapper", "btrfs", "/dev/mapper/z", "rw", BTRFS_SUPER_MAGIC, 0, 53 },
        { "/zfs", "zfs", "tank", "rw", 0x2fc12fc1, 0, 34 },
        { "/nfs", "nfs4", "server:/x", "rw", NFS_SUPER_MAGIC, 0, 35 },
        { "/fuse", "fuse.sshfs", "host:", "rw", FUSE_SUPER_MAGIC, 0, 36 },
        { "/ovl-tmp", "overlay", "o", "rw,lowerdir=/l,upperdir=/tmp/u,workdir=/w", OVERLAYFS_SUPER_MAGIC, 0,
          40 },
        { "/ovl-disk", "overlay", "o", "rw,lowerdir=/tmp,upperdir=/u\\054x", OVERLAYFS_SUPER_MAGIC, 0, 41 },
        { "/ovl-ro", "overlay", "o", "ro,lowerdir=/a:/xupperdir=/b", OVERLAYFS_SUPER_MAGIC, 0, 42 },
        { "/ovl-lost", "overlay", "o", "rw,upperdir=/nowhere/u,workdir=/w", OVERLAYFS_SUPER_MAGIC, 0, 43 },
        { "/ovl-self", "overlay", "o", "rw,upperdir=/ovl-self/u,workdir=/w", OVERLAYFS_SUPER_MAGIC, 0, 44 },
        { "/ovl-ovl", "overlay", "o", "rw,upperdir=/ovl-tmp/u,workdir=/w", OVERLAYFS_SUPER_MAGIC, 0, 45 },
        { "/ovl-rel", "overlay", "o", "rw,upperdir=u,workdir=/w", OVERLAYFS_SUPER_MAGIC, 0, 46 },
        { "/ovl-loop", "overlay", "o", "rw,upperdir=/dm-loop/u", OVERLAYFS_SUPER_MAGIC, 0, 52 },
        { "/brd", "ext4", "/dev/ram0", "rw", EXT4_SUPER_MAGIC, 1, 0 },
        { "/zram", "ext4", "/dev/zram0", "rw", EXT4_SUPER_MAGIC, 252, 0 },
        { "/nullb", "xfs", "/dev/nullb0", "rw", XFS_SUPER_MAGIC, 259, 0 },
        { "/loop-disk", "ext4", "/dev/loop0", "rw", EXT4_SUPER_MAGIC, 7, 0 },
        { "/loop-tmp", "ext4", "/dev/loop1", "rw", EXT4_SUPER_MAGIC, 7, 1 },
        { "/loop-deleted", "ext4", "/dev/loop2", "rw", EXT4_SUPER_MAGIC, 7, 2 },
        { "/loop-lost", "ext4", "/dev/loop3", "rw", EXT4_SUPER_MAGIC, 7, 3 },
        { "/loop4", "ext4", "/dev/loop4", "rw", EXT4_SUPER_MAGIC, 7, 4 },
        { "/loop-rel", "ext4", "/dev/loop5", "rw", EXT4_SUPER_MAGIC, 7, 5 },
        { "/loop-odd", "ext4", "/dev/loop6", "rw", EXT4_SUPER_MAGIC, 7, 6 },
        { "/loop-part", "vfat", "/dev/loop1p1", "rw", MSDOS_SUPER_MAGIC, 259, 1 },
        { "/dm-disk", "ext4", "/dev/mapper/root", "rw", EXT4_SUPER_MAGIC, 253, 0 },
        { "/dm-zram", "ext4", "/dev/mapper/z", "rw", EXT4_SUPER_MAGIC, 253, 1 },
        { "/dm-dm", "xfs", "/dev/mapper/zz", "rw", XFS_SUPER_MAGIC, 253, 2 },
        { "/dm-self", "xfs", "/dev/mapper/s", "rw", XFS_SUPER_MAGIC, 253, 3 },
        { "/dm-lost", "xfs", "/dev/mapper/l", "rw", XFS_SUPER_MAGIC, 253, 4 },
        { "/dm-loop", "ext4", "/dev/mapper/l", "rw", EXT4_SUPER_MAGIC, 253, 9 },
        { "/crypt", "ext4", "/dev/mapper/c", "rw", EXT4_SUPER_MAGIC, 253, 6 },
        { "/md", "ext4", "/dev/md0", "rw", EXT4_SUPER_MAGIC, 9, 0 },
        { "/ramdisk", "ext4", "/dev/ramdisk", "rw", EXT4_SUPER_MAGIC, 259, 2 },
        { "/nvme", "ext4", "/dev/nvme0n1", "rw", EXT4_SUPER_MAGIC, 259, 3 },
        { "/part-of-sda", "ext4", "/dev/ram2", "rw", EXT4_SUPER_MAGIC, 8, 2 },
        { "/unknown", "ext4", "/dev/unknown", "rw", EXT4_SUPER_MAGIC, 99, 9 },
};

static void write_file(int dir_fd, const char *path, const char *text) {
        _cleanup_close_ int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void write_attribute(int dir_fd, const char *dir, const char *file, const char *text) {
        _cleanup_free_ char *path = NULL;

        if (!text)
                return;
        assert_true(asprintf(&path, "%s/%s", dir, file) > 0);
        (void) mkdirat(dir_fd, dir, 0700);
        write_file(dir_fd, path, text);
}

static char sysfs_path[] = "/tmp/ccvm-test-backing.XXXXXX";
static char *mountinfo_path;

/* devices/DIR, and the links to it */
static void make_device(int sysfs_fd, const Device *d) {
        _cleanup_free_ char *path = NULL, *link = NULL, *number = NULL, *class = NULL, *block = NULL;
        const char *name = strrchr(d->dir, '/') + 1;
        _cleanup_close_ int fd = -EBADF;

        assert_true(asprintf(&path, "%s/devices/%s", sysfs_path, d->dir) > 0);
        assert_true(asprintf(&link, "../../devices/%s", d->dir) > 0);
        assert_true(asprintf(&number, "dev/block/%s", d->number) > 0);
        assert_true(asprintf(&class, "class/block/%s", name) > 0);
        assert_true(asprintf(&block, "block/%s", name) > 0);
        assert_int_equal(mkdir_parents(path, 0700), 0);
        assert_int_equal(symlinkat(link, sysfs_fd, number), 0);
        assert_int_equal(symlinkat(link, sysfs_fd, class), 0);
        assert_int_equal(symlinkat(link + strlen("../"), sysfs_fd, block), 0);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        write_attribute(fd, "dm", "uuid", d->uuid);
        write_attribute(fd, "loop", "backing_file", d->backing_file);
        write_attribute(fd, ".", "backing_dev", d->backing_dev);
        (void) mkdirat(fd, "slaves", 0700);
        for (size_t i = 0; i < ELEMENTSOF(d->slaves) && d->slaves[i]; i++)
                write_attribute(fd, "slaves", d->slaves[i], "");
}

static void make_mountinfo(void) {
        _cleanup_fclose_ FILE *f = fopen(mountinfo_path, "we");

        assert_non_null(f);
        for (size_t i = 0; i < ELEMENTSOF(mounts); i++)
                fprintf(f, "%zu 0 %u:%u / %s rw,relatime shared:1 - %s %s %s\n", i, mounts[i].major,
                        mounts[i].minor, mounts[i].target, mounts[i].type, mounts[i].source,
                        mounts[i].options);
}

static int make_world(void **state) {
        static const char *const dirs[] = { "dev/block", "class/block", "block" };
        _cleanup_close_ int fd = -EBADF;

        if (!mkdtemp(sysfs_path) || asprintf(&mountinfo_path, "%s/mountinfo", sysfs_path) < 0)
                return -1;
        for (size_t i = 0; i < ELEMENTSOF(dirs); i++) {
                _cleanup_free_ char *path = NULL;
                if (asprintf(&path, "%s/%s", sysfs_path, dirs[i]) < 0 || mkdir_parents(path, 0700) < 0)
                        return -1;
        }
        fd = open(sysfs_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (size_t i = 0; i < ELEMENTSOF(devices); i++)
                make_device(fd, &devices[i]);
        make_mountinfo();
        return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

static int remove_world(void **state) {
        free(mountinfo_path);
        return nftw(sysfs_path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static bool is_below(const char *path, const char *dir) {
        const char *rest = startswith(path, dir);

        return streq(dir, "/") || (rest && (*rest == '\0' || *rest == '/'));
}

static int look(const char *path, BackingFile *ret) {
        size_t found = 0;

        if (streq(path, "/dev/mapper/z")) {
                *ret = (BackingFile) { .device = true, .dev = makedev(253, 1), .type = TMPFS_MAGIC };
                return 0;
        }
        if (startswith(path, "/nowhere") || startswith(path, "/dev/"))
                return -ENOENT;
        for (size_t i = 0; i < ELEMENTSOF(mounts); i++) {
                _cleanup_free_ char *target = strdup(mounts[i].target);

                backing_unescape(target);
                if (is_below(path, target) && strlen(target) >= strlen(mounts[found].target))
                        found = i;
        }
        *ret = (BackingFile) { .dev = makedev(mounts[found].major, mounts[found].minor),
                               .type = mounts[found].magic,
                               .mount_id = (int) found };
        return 0;
}

static BackingWorld recorded_world(void) {
        return (BackingWorld) { .sysfs = sysfs_path, .mountinfo = mountinfo_path, .look = look };
}

static void test_classify(void **state) {
        static const struct {
                const char *path;
                BackingKind kind;
                const char *chain;
        } table[] = {
                /* circles */
                { "/ovl-self", BACKING_UNKNOWN, NULL },
                { "/loop4", BACKING_UNKNOWN, NULL },
                { "/dm-self", BACKING_UNKNOWN, NULL },
                /* what cannot be looked through */
                { "relative", BACKING_UNKNOWN, "'relative', which is not visible here" },
                { "/btrfs-lost", BACKING_UNKNOWN, "btrfs on '/dev/lost', which is not visible here" },
                { "/nfs", BACKING_UNKNOWN, "nfs4" },
                { "/fuse/x", BACKING_UNKNOWN, "fuse.sshfs" },
                { "/ovl-ro", BACKING_UNKNOWN, "overlay over no upper" },
                { "/ovl-lost", BACKING_UNKNOWN, "overlay over '/nowhere/u', which is not visible here" },
                { "/ovl-rel", BACKING_UNKNOWN, NULL },
                { "/loop-lost", BACKING_UNKNOWN, NULL },
                { "/loop-rel", BACKING_UNKNOWN, NULL },
                { "/loop-odd", BACKING_UNKNOWN, NULL },
                { "/dm-lost", BACKING_UNKNOWN, "dm-4 over device gone, of which sysfs knows nothing" },
                { "/unknown", BACKING_UNKNOWN, "device 99:9, of which sysfs knows nothing" },
                /* RAM, and its disguises */
                { "/tmp/a/b", BACKING_RAM, "tmpfs" },
                { "/a", BACKING_RAM, "ramfs" },
                { "/dev", BACKING_RAM, "tmpfs" },
                { "/huge", BACKING_RAM, "hugetlbfs" },
                { "/btrfs ram", BACKING_RAM, "btrfs on zram0" },
                { "/btrfs-mapper", BACKING_RAM, "btrfs on dm-1 over zram0" },
                { "/ovl-tmp", BACKING_RAM, "overlay over tmpfs" },
                { "/ovl-ovl", BACKING_RAM, "overlay over overlay over tmpfs" },
                { "/brd", BACKING_RAM, "ram0" },
                { "/zram", BACKING_RAM, "zram0" },
                { "/nullb", BACKING_RAM, "nullb0" },
                { "/loop-tmp", BACKING_RAM, "loop1 over tmpfs" },
                { "/loop-deleted", BACKING_RAM, "loop2 over tmpfs" },
                { "/loop-part", BACKING_RAM, "loop1 over tmpfs" },
                { "/dm-zram", BACKING_RAM, "dm-1 over zram0" },
                { "/dm-dm", BACKING_RAM, "dm-2 over dm-1 over zram0" },
                { "/dm-loop", BACKING_RAM, "dm-9 over loop1 over tmpfs" },
                { "/ovl-loop", BACKING_RAM, "overlay over dm-9 over loop1 over tmpfs" },
                { "/md", BACKING_RAM, "md0 over ram0" },
                /* disks */
                { "/", BACKING_DISK, "sda1" },
                { "/tmpx", BACKING_DISK, "sda1" },
                { "/btrfs", BACKING_DISK, "btrfs on sda1" },
                { "/zfs", BACKING_DISK, "zfs" },
                { "/ovl-disk", BACKING_DISK, "overlay over sda1" },
                { "/loop-disk", BACKING_DISK, "loop0 over sda1" },
                { "/crypt", BACKING_DISK, "dm-6 over dm-5 over sda1" },
                { "/dm-disk", BACKING_DISK, "dm-0 over sda1" },
                { "/ramdisk", BACKING_DISK, "ramdisk" },
                { "/nvme", BACKING_DISK, "nvme0n1" },
                { "/part-of-sda", BACKING_DISK, "ram2" },
        };
        const BackingWorld world = recorded_world();

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Backing b = {};

                assert_int_equal(backing_classify_path(&world, table[i].path, &b), 0);
                if (b.kind != table[i].kind || (table[i].chain && !streq(b.chain, table[i].chain)))
                        fail_msg("%s: kind %i, '%s'", table[i].path, (int) b.kind, b.chain);
        }
}

/* An overlay is asked by a file where its upper cannot be followed, or the mount table is of no help. */
static void test_hidden(void **state) {
        static const struct {
                const char *path;
                bool hidden;
        } table[] = { { "/ovl-lost", true }, { "/ovl-rel", true },   { "/ovl-ro", false },
                      { "/ovl-tmp", false }, { "/ovl-disk", false }, { "/fuse", false } };
        BackingWorld world = recorded_world();
        Backing b;

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                assert_int_equal(backing_classify_path(&world, table[i].path, &b), 0);
                assert_int_equal(b.hidden, table[i].hidden);
        }
        world.mountinfo = "/dev/null";
        assert_int_equal(backing_classify_path(&world, "/ovl-disk", &b), 0);
        assert_true(b.hidden && b.kind == BACKING_UNKNOWN);
}

static void test_unescape(void **state) {
        static const struct {
                const char *in, *out;
        } table[] = { { "", "" },
                      { "/a\\040b\\054c", "/a b,c" },
                      { "/a\\", "/a\\" },
                      { "/a\\09", "/a\\09" },
                      { "\\1341", "\\1" } };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *s = strdup(table[i].in);

                backing_unescape(s);
                assert_string_equal(s, table[i].out);
        }
}

static void test_swap(void **state) {
#define HEADING "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
        static const struct {
                const char *swaps, *clear;
        } table[] = {
                { "", NULL },
                { "Filename", NULL },
                { HEADING, NULL },
                { HEADING "/dev/zram0 partition\t1\t0\t100\n", NULL },
                { HEADING "/dev/dm-5   partition\t1\t0\t-2\n", NULL },
                { HEADING "/dev/dm-6\tpartition\t1\t0\t-2", NULL },
                { HEADING "/dev/sda1 partition\t1\t0\t-2\n", "/dev/sda1" },
                { HEADING "/dev/zram0 partition 1\n/dev/dm-0 partition 1\n", "/dev/dm-0" },
                /* one member in the clear is enough, whichever comes first */
                { HEADING "/dev/dm-7 partition 1\n", "/dev/dm-7" },
                { HEADING "/dev/dm-8 partition 1\n", "/dev/dm-8" },
                /* files: on a disk, on encrypted disks, and those that nothing is known of */
                { HEADING "/swap\\040file file\t1\t0\t-2\n", "/swap file" },
                { HEADING "/crypt/swapfile file 1\n", NULL },
                { HEADING "/nowhere/swapfile file 1\n", "/nowhere/swapfile" },
                { HEADING "/dev/gone partition 1\n", "/dev/gone" },
                /* what only checks, and RAM that goes to a disk in part */
                { HEADING "/dev/dm-10 partition 1\n", "/dev/dm-10" },
                { HEADING "/dev/zram1 partition 1\n", "/dev/zram1" },
        };
        const BackingWorld world = recorded_world();

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *clear = NULL;

                assert_int_equal(memory_find_clear_swap(table[i].swaps, &world, &clear), !!table[i].clear);
                if (table[i].clear)
                        assert_string_equal(clear, table[i].clear);
        }
}

static void test_memory_size(void **state) {
        static const struct {
                const char *s;
                int r;
                uint64_t mib;
        } table[] = {
                { "", -EINVAL, 0 },
                { "G", -EINVAL, 0 },
                { "-1", -EINVAL, 0 },
                { "1GB", -EINVAL, 0 },
                { "1x", -EINVAL, 0 },
                { "slots=2,maxmem=4G", -EINVAL, 0 },
                { "99999999999T", -EINVAL, 0 },
                { "1e300", -EINVAL, 0 },
                { NULL, 0, 128 },
                { "4096", 0, 4096 },
                { "2G", 0, 2048 },
                { "2g,slots=2,maxmem=4G", 0, 2048 },
                { "size=1.5G", 0, 1536 },
                { "size=512M,slots=1", 0, 512 },
                { "1T", 0, 1024 * 1024 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                uint64_t size = 0;

                assert_int_equal(memory_parse_size(table[i].s, &size), table[i].r);
                assert_true(size == table[i].mib * 1024 * 1024);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_classify),    cmocka_unit_test(test_hidden),
                cmocka_unit_test(test_unescape),    cmocka_unit_test(test_swap),
                cmocka_unit_test(test_memory_size),
        };

        return cmocka_run_group_tests(tests, make_world, remove_world);
}
