/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a directory is on, told from recorded mount tables and /sys/dev/block trees: also for devices that
 * the kernel of this machine does not have. */

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#include "backing.h"
#include "memory.h"
#include "mountinfo.h"
#include "test.h"

/* A block device as sysfs shows it: its number (the name in /sys/dev/block) and directory, and what makes it
 * special. */
typedef struct Device {
        const char *number, *dir;
        const char *backing_file; /* loop */
        const char *slaves[3];    /* their numbers, by name: "dm-1=254:1" */
        bool partition;
        const char *uuid; /* device mapper */
} Device;

static const Device devices[] = {
        { "1:0", "ram0" },
        { "7:0", "loop0", .backing_file = "/var/lib/images/a b" },
        { "7:1", "loop1", .backing_file = "/tmp/image" },
        { "7:2", "loop2", .backing_file = "/tmp/image (deleted)" },
        { "7:3", "loop3", .backing_file = "/nowhere/image" },
        { "7:4", "loop4", .backing_file = "/loop4/image" },
        { "7:5", "loop5", .backing_file = "image" },
        { "8:0", "sda" },
        { "8:1", "sda/sda1", .partition = true },
        { "8:2", "sda/ram2", .partition = true },
        { "9:0", "md0", .slaves = { "sda1=8:1", "ram0=1:0" } },
        { "252:0", "zram0" },
        { "253:0", "dm-0", .slaves = { "sda1=8:1" } },
        { "253:1", "dm-1", .slaves = { "zram0=252:0" } },
        { "253:2", "dm-2", .slaves = { "dm-1=253:1" } },
        { "253:3", "dm-3", .slaves = { "dm-3=253:3" } },
        { "253:5", "dm-5", .slaves = { "sda1=8:1" }, .uuid = "CRYPT-PLAIN-swap" },
        { "253:6", "dm-6", .slaves = { "dm-5=253:5" }, .uuid = "LVM-x" },
        { "253:7", "dm-7", .slaves = { "dm-5=253:5", "sda=8:0" }, .uuid = "LVM-y" },
        { "253:8", "dm-8", .slaves = { "sda=8:0", "dm-5=253:5" }, .uuid = "LVM-z" },
        { "253:9", "dm-9", .slaves = { "loop1=7:1" }, .uuid = "CRYPT-LUKS2-x" },
        { "253:4", "dm-4", .slaves = { "gone=253:99" } },
        { "259:0", "nullb0" },
        { "259:1", "loop1/loop1p1", .partition = true },
        { "259:2", "ramdisk" },
};

static const char mountinfo[] =
        "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "22 21 0:20 / /tmp rw,nosuid shared:2 - tmpfs tmpfs rw,size=1k\n"
        "23 21 0:21 / /a rw - ramfs ramfs rw\n"
        "24 21 0:5 / /dev rw shared:3 - devtmpfs udev rw\n"
        "25 21 0:30 / /root0 rw - rootfs none rw\n"
        "26 21 0:31 /sub /btrfs rw,noatime shared:4 master:1 - btrfs /dev/sda1 rw,subvol=/sub\n"
        "27 21 0:32 / /btrfs\\040ram rw - btrfs /dev/zram0 rw\n"
        "28 21 0:33 / /btrfs-lost rw - btrfs /dev/lost rw\n"
        "29 21 0:34 / /zfs rw - zfs tank/home rw\n"
        "30 21 0:35 / /nfs rw - nfs4 server:/x rw\n"
        "31 21 0:36 / /fuse rw - fuse.sshfs host: rw\n"
        "32 21 0:37 / /ecryptfs rw - ecryptfs /home/.ecryptfs rw\n"
        "40 21 0:40 / /ovl-tmp rw - overlay overlay rw,lowerdir=/l,upperdir=/tmp/u,workdir=/tmp/w\n"
        "41 21 0:41 / /ovl-disk rw - overlay overlay rw,lowerdir=/tmp:/a,upperdir=/u\\054x,workdir=/w\n"
        "42 21 0:42 / /ovl-ro ro - overlay overlay ro,lowerdir=/a:/b\n"
        "43 21 0:43 / /ovl-lost rw - overlay overlay rw,lowerdir=/l,upperdir=/nowhere/u,workdir=/w\n"
        "44 21 0:44 / /ovl-self rw - overlay overlay rw,lowerdir=/l,upperdir=/ovl-self/u,workdir=/w\n"
        "45 21 0:45 / /ovl-ovl rw - overlay overlay rw,lowerdir=/l,upperdir=/ovl-tmp/u,workdir=/w\n"
        "46 21 0:46 / /ovl-rel rw - overlay overlay rw,lowerdir=/l,upperdir=u,workdir=/w\n"
        "47 21 0:47 / /ovl-esc rw - overlay overlay rw,lowerdir=/l,upperdir=/tmp/u\\134\\054x,workdir=/w\n"
        "50 21 1:0 / /brd rw - ext4 /dev/ram0 rw\n"
        "51 21 252:0 / /zram rw - ext4 /dev/zram0 rw\n"
        "52 21 259:0 / /nullb rw - xfs /dev/nullb0 rw\n"
        "53 21 7:0 / /loop-disk rw - ext4 /dev/loop0 rw\n"
        "54 21 7:1 / /loop-tmp rw - ext4 /dev/loop1 rw\n"
        "55 21 7:2 / /loop-deleted rw - ext4 /dev/loop2 rw\n"
        "56 21 7:3 / /loop-lost rw - ext4 /dev/loop3 rw\n"
        "57 21 7:4 / /loop4 rw - ext4 /dev/loop4 rw\n"
        "58 21 7:5 / /loop-rel rw - ext4 /dev/loop5 rw\n"
        "59 21 259:1 / /loop-part rw - vfat /dev/loop1p1 rw\n"
        "60 21 253:0 / /dm-disk rw - ext4 /dev/mapper/root rw\n"
        "61 21 253:1 / /dm-zram rw - ext4 /dev/mapper/z rw\n"
        "62 21 253:2 / /dm-dm rw - xfs /dev/mapper/zz rw\n"
        "63 21 253:3 / /dm-self rw - xfs /dev/mapper/s rw\n"
        "64 21 253:4 / /dm-lost rw - xfs /dev/mapper/l rw\n"
        "65 21 9:0 / /md rw - ext4 /dev/md0 rw\n"
        "66 21 259:2 / /ramdisk rw - ext4 /dev/ramdisk rw\n"
        "73 21 253:9 / /dm-loop rw - ext4 /dev/mapper/l rw\n"
        "74 21 0:52 / /ovl-loop rw - overlay overlay rw,lowerdir=/l,upperdir=/dm-loop/u,workdir=/dm-loop/w\n"
        "72 21 253:6 / /crypt rw - ext4 /dev/mapper/c rw\n"
        "67 21 99:9 / /unknown rw - ext4 /dev/unknown rw\n"
        "68 21 0:50 / /mnt rw - tmpfs tmpfs rw\n"
        "69 68 8:1 /x /mnt/x rw - ext4 /dev/sda1 rw\n"
        "70 21 8:1 /x /over rw - ext4 /dev/sda1 rw\n"
        "71 70 0:51 / /over rw - tmpfs tmpfs rw\n"
        "broken line\n"
        "80 21 8:1\n"
        "81 21 8:1 / /short rw - ext4";

static void write_file(int dir_fd, const char *path, const char *text) {
        _cleanup_close_ int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void make_slave(int dir_fd, const char *slave) {
        _cleanup_free_ char *name = strndup(slave, strcspn(slave, "=")), *dir = NULL, *file = NULL;

        assert_true(asprintf(&dir, "slaves/%s", name) > 0);
        assert_true(asprintf(&file, "slaves/%s/dev", name) > 0);
        (void) mkdirat(dir_fd, "slaves", 0700);
        assert_int_equal(mkdirat(dir_fd, dir, 0700), 0);
        write_file(dir_fd, file, strchr(slave, '=') + 1);
}

/* devices/DIR, and NUMBER -> devices/DIR beside it */
static void make_device(int sysfs_fd, const Device *d) {
        _cleanup_free_ char *path = NULL, *uevent = NULL;
        _cleanup_close_ int fd = -EBADF;
        const char *slash = strrchr(d->dir, '/');

        assert_true(asprintf(&path, "devices/%s", d->dir) > 0);
        assert_int_equal(mkdirat(sysfs_fd, path, 0700), 0);
        assert_int_equal(symlinkat(path, sysfs_fd, d->number), 0);
        fd = openat(sysfs_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(asprintf(&uevent, "MAJOR=1\nDEVNAME=%s\nDEVTYPE=disk\n", slash ? slash + 1 : d->dir) >
                    0);
        write_file(fd, "uevent", uevent);
        write_file(fd, "dev", d->number);
        if (d->partition)
                write_file(fd, "partition", "1\n");
        if (d->uuid) {
                assert_int_equal(mkdirat(fd, "dm", 0700), 0);
                write_file(fd, "dm/uuid", d->uuid);
        }
        if (d->backing_file) {
                assert_int_equal(mkdirat(fd, "loop", 0700), 0);
                write_file(fd, "loop/backing_file", d->backing_file);
        }
        for (size_t i = 0; i < ELEMENTSOF(d->slaves) && d->slaves[i]; i++)
                make_slave(fd, d->slaves[i]);
}

static char sysfs_path[] = "/tmp/ccvm-test-backing.XXXXXX";
static int sysfs_fd = -EBADF;

static int make_sysfs(void **state) {
        if (!mkdtemp(sysfs_path))
                return -1;
        sysfs_fd = open(sysfs_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (sysfs_fd < 0 || mkdirat(sysfs_fd, "devices", 0700) < 0)
                return -1;
        for (size_t i = 0; i < ELEMENTSOF(devices); i++)
                make_device(sysfs_fd, &devices[i]);
        return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

static int remove_sysfs(void **state) {
        safe_close(sysfs_fd);
        return nftw(sysfs_path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static int path_to_mount(const BackingWorld *world, const char *path) {
        _cleanup_(mount_done) Mount m = {};
        int r;

        if (startswith(path, "/nowhere") || strchr(path, '\\'))
                return -ENOENT;
        r = mountinfo_find_path(world->mountinfo, path, &m);
        return r < 0 ? r : m.id;
}

static int path_to_device(const char *path, unsigned *ret_major, unsigned *ret_minor) {
        static const struct {
                const char *path;
                unsigned major, minor;
        } nodes[] = {
                { "/dev/sda1", 8, 1 },   { "/dev/zram0", 252, 0 }, { "/dev/dm-0", 253, 0 },
                { "/dev/dm-5", 253, 5 }, { "/dev/dm-6", 253, 6 },  { "/dev/dm-7", 253, 7 },
                { "/dev/dm-8", 253, 8 }, { "/dev/gone", 99, 9 },
        };

        for (size_t i = 0; i < ELEMENTSOF(nodes); i++)
                if (streq(path, nodes[i].path)) {
                        *ret_major = nodes[i].major;
                        *ret_minor = nodes[i].minor;
                        return 0;
                }
        return -ENOENT;
}

static BackingWorld recorded_world(void) {
        return (BackingWorld) {
                .mountinfo = mountinfo,
                .sysfs_fd = sysfs_fd,
                .path_to_mount = path_to_mount,
                .path_to_device = path_to_device,
        };
}

static void test_classify(void **state) {
        static const struct {
                int mount;
                BackingKind kind;
                const char *chain;
        } table[] = {
                /* mounts that are not there, or whose lines are broken */
                { 0, BACKING_UNKNOWN, "a mount that is not in the mount table" },
                { -1, BACKING_UNKNOWN, NULL },
                { 80, BACKING_UNKNOWN, NULL },
                { 81, BACKING_UNKNOWN, NULL },
                /* circles */
                { 44, BACKING_UNKNOWN, NULL },
                { 57, BACKING_UNKNOWN, NULL },
                { 63, BACKING_UNKNOWN, NULL },
                /* what cannot be looked through */
                { 28, BACKING_UNKNOWN, "btrfs" },
                { 30, BACKING_UNKNOWN, "nfs4" },
                { 31, BACKING_UNKNOWN, "fuse.sshfs" },
                { 32, BACKING_UNKNOWN, "ecryptfs" },
                { 42, BACKING_UNKNOWN, "overlay over no upper" },
                { 43, BACKING_UNKNOWN, "overlay over '/nowhere/u', which is not visible here" },
                { 46, BACKING_UNKNOWN, NULL },
                { 56, BACKING_UNKNOWN, NULL },
                { 58, BACKING_UNKNOWN, NULL },
                { 64, BACKING_UNKNOWN, NULL },
                { 67, BACKING_UNKNOWN, "ext4 on device 99:9, of which sysfs knows nothing" },
                /* RAM, and its disguises */
                { 22, BACKING_RAM, "tmpfs" },
                { 23, BACKING_RAM, "ramfs" },
                { 24, BACKING_RAM, "devtmpfs" },
                { 25, BACKING_RAM, "rootfs" },
                { 27, BACKING_RAM, "btrfs on zram0" },
                { 40, BACKING_RAM, "overlay over tmpfs" },
                { 47, BACKING_RAM, "overlay over tmpfs" },
                { 45, BACKING_RAM, "overlay over overlay over tmpfs" },
                { 50, BACKING_RAM, "ext4 on ram0" },
                { 51, BACKING_RAM, "ext4 on zram0" },
                { 52, BACKING_RAM, "xfs on nullb0" },
                { 54, BACKING_RAM, "ext4 on loop1 over tmpfs" },
                { 55, BACKING_RAM, "ext4 on loop2 over tmpfs" },
                { 59, BACKING_RAM, "vfat on loop1p1 of loop1 over tmpfs" },
                { 61, BACKING_RAM, "ext4 on dm-1 over zram0" },
                { 62, BACKING_RAM, "xfs on dm-2 over dm-1 over zram0" },
                { 73, BACKING_RAM, "ext4 on dm-9 over loop1 over tmpfs" },
                { 74, BACKING_RAM, "overlay over ext4 on dm-9 over loop1 over tmpfs" },
                { 65, BACKING_RAM, "ext4 on md0 over ram0" },
                { 68, BACKING_RAM, "tmpfs" },
                { 71, BACKING_RAM, "tmpfs" },
                /* disks */
                { 21, BACKING_DISK, "ext4 on sda1 of sda" },
                { 26, BACKING_DISK, "btrfs on sda1 of sda" },
                { 29, BACKING_DISK, "zfs" },
                { 41, BACKING_DISK, "overlay over ext4 on sda1 of sda" },
                { 53, BACKING_DISK, "ext4 on loop0 over ext4 on sda1 of sda" },
                { 72, BACKING_DISK, "ext4 on dm-6 over dm-5 over sda1 of sda" },
                { 60, BACKING_DISK, "ext4 on dm-0 over sda1 of sda" },
                { 66, BACKING_DISK, "ext4 on ramdisk" },
                { 69, BACKING_DISK, "ext4 on sda1 of sda" },
        };
        const BackingWorld world = recorded_world();

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Backing b = {};

                assert_int_equal(backing_classify_mount(&world, table[i].mount, &b), 0);
                if (b.kind != table[i].kind || (table[i].chain && !streq(b.chain, table[i].chain)))
                        fail_msg("mount %i: kind %i, '%s'", table[i].mount, (int) b.kind, b.chain);
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

static void test_find_path(void **state) {
        static const struct {
                const char *path;
                int id;
        } table[] = {
                { "relative", -ENOENT }, { "/", 21 },          { "/x", 21 },       { "/tmpx", 21 },
                { "/tmp", 22 },          { "/tmp/a/b", 22 },   { "/mnt/x/y", 69 }, { "/mnt/xy", 68 },
                { "/over/x", 71 },       { "/btrfs ram", 27 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(mount_done) Mount m = {};
                int r = mountinfo_find_path(mountinfo, table[i].path, &m);

                assert_int_equal(r < 0 ? r : m.id, table[i].id);
        }
}

static void test_options(void **state) {
        static const struct {
                const char *options, *key, *value;
        } table[] = {
                { "", "upperdir", NULL },
                { "rw", "upperdir", NULL },
                { "upperdir", "upperdir", NULL },
                { "xupperdir=/x", "upperdir", NULL },
                { "lowerdir=upperdir=/x", "upperdir", NULL },
                { "rw,upperdir=", "upperdir", "" },
                { "rw,,upperdir=/a\\040b\\054c,workdir=/w", "upperdir", "/a b,c" },
                { "upperdir=/a\\", "upperdir", "/a\\" },
                { "upperdir=/a\\09", "upperdir", "/a\\09" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                const Mount m = { .options = (char *) table[i].options };
                _cleanup_free_ char *value = NULL;

                assert_int_equal(mount_get_option(&m, table[i].key, &value), !!table[i].value);
                if (table[i].value)
                        assert_string_equal(value, table[i].value);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_classify),    cmocka_unit_test(test_swap),
                cmocka_unit_test(test_memory_size), cmocka_unit_test(test_find_path),
                cmocka_unit_test(test_options),
        };

        return cmocka_run_group_tests(tests, make_sysfs, remove_sysfs);
}
