/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a device is made of, told from a recorded tree of sysfs: also for devices that the kernel of this
 * machine does not have. */

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#include "backing.h"
#include "fileio.h"
#include "test.h"

/* A block device as sysfs shows it: its directory below devices/, and what makes it special. */
typedef struct Device {
        const char *dir;
        const char *slaves[3];
        const char *file, *text; /* an attribute */
} Device;

static const Device devices[] = {
        { "virtual/block/ram0" },
        { "virtual/block/loop0", .file = "loop/backing_file", .text = "/nowhere/image\n" },
        { "virtual/block/loop1", .file = "loop/backing_file", .text = "TMPFS/image\n" },
        { "virtual/block/loop2", .file = "loop/backing_file", .text = "TMPFS/image (deleted)\n" },
        { "virtual/block/loop3", .file = "loop/backing_file", .text = "image\n" },
        { "virtual/block/loop4", .file = "loop/backing_file", .text = " (deleted)\n" },
        { "virtual/block/loop5", .file = "loop/backing_file", .text = "/image (deleted)\n" },
        { "virtual/block/loop6", .file = "loop/backing_file", .text = "/ (deleted)" },
        { "virtual/block/loop1/loop1p1", .file = "partition", .text = "1\n" },
        { "pci0000:00/block/sda" },
        { "pci0000:00/block/sda/sda1", .file = "partition", .text = "1\n" },
        { "virtual/block/md0", .slaves = { "sda1", "ram0" } },
        { "virtual/block/zram0" },
        { "virtual/block/zram0/zram0p1", .file = "partition", .text = "1\n" },
        { "virtual/block/zram1", .file = "backing_dev", .text = "/dev/sda1\n" },
        { "virtual/block/dm-0", .slaves = { "sda1" }, .file = "dm/uuid", .text = "LVM-w\n" },
        { "virtual/block/dm-1", .slaves = { "zram0" } },
        { "virtual/block/dm-2", .slaves = { "dm-1" } },
        { "virtual/block/dm-4", .slaves = { "gone" } },
        { "virtual/block/dm-6", .slaves = { "dm-0" }, .file = "dm/uuid", .text = "LVM-x\n" },
        { "virtual/block/dm-9", .slaves = { "loop1" }, .file = "dm/uuid", .text = "CRYPT-LUKS2-x\n" },
        { "virtual/block/nullb0" },
        { "virtual/block/ramdisk" },
        { "virtual/nvme-subsystem/nvme-subsys0/nvme0n1" },
};

static char sysfs[] = "/tmp/ccvm-test-backing.XXXXXX";
static char ram[] = "/dev/shm/ccvm-test-backing.XXXXXX"; /* a tmpfs */

/* devices/DIR/FILE, and the directories above it */
static void write_attribute(const char *dir, const char *file, const char *text) {
        _cleanup_free_ char *path = NULL, *parent = NULL, *full = NULL;
        const char *rest = startswith(text, "TMPFS");

        assert_true(asprintf(&path, "%s/devices/%s/%s", sysfs, dir, file) > 0);
        assert_true(asprintf(&full, "%s%s", rest ? ram : "", rest ?: text) > 0);
        parent = strdup(path);
        *strrchr(parent, '/') = '\0';
        assert_int_equal(mkdir_parents(parent, 0700), 0);
        assert_int_equal(file_write_atomic(path, full, 0600), 0);
}

/* slaves/ has links to the members' directories, and their holders/ lead back. */
static void make_device(const Device *d) {
        _cleanup_free_ char *dir = NULL, *link = NULL, *class = NULL;

        assert_true(asprintf(&dir, "%s/devices/%s/slaves", sysfs, d->dir) > 0);
        assert_true(asprintf(&link, "%s/devices/%s", sysfs, d->dir) > 0);
        assert_true(asprintf(&class, "%s/class/%s", sysfs, strrchr(d->dir, '/') + 1) > 0);
        assert_int_equal(mkdir_parents(dir, 0700), 0);
        assert_int_equal(symlink(link, class), 0);
        if (d->file)
                write_attribute(d->dir, d->file, d->text);
        for (size_t i = 0; i < ELEMENTSOF(d->slaves) && d->slaves[i]; i++) {
                _cleanup_free_ char *slave = NULL, *target = NULL, *holder = NULL;

                assert_true(asprintf(&slave, "%s/%s", dir, d->slaves[i]) > 0);
                assert_true(asprintf(&target, "%s/class/%s", sysfs, d->slaves[i]) > 0);
                assert_true(asprintf(&holder, "%s/holders/%s", target, strrchr(d->dir, '/') + 1) > 0);
                assert_int_equal(symlink(target, slave), 0);
                if (access(target, F_OK) >= 0)
                        assert_int_equal(mkdir_parents(holder, 0700), 0);
        }
}

static int make_world(void **state) {
        _cleanup_free_ char *class = NULL, *image = NULL;

        if (!mkdtemp(sysfs) || !mkdtemp(ram) || asprintf(&class, "%s/class", sysfs) < 0 ||
            asprintf(&image, "%s/image", ram) < 0 || mkdir(class, 0700) < 0)
                return -1;
        for (size_t i = 0; i < ELEMENTSOF(devices); i++)
                make_device(&devices[i]);
        return file_write_atomic(image, "", 0600);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

static int remove_world(void **state) {
        return nftw(sysfs, remove_entry, 16, FTW_DEPTH | FTW_PHYS) |
               nftw(ram, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static bool find(const char *device, char name[static BACKING_NAME_MAX]) {
        _cleanup_free_ char *directory = NULL;

        assert_true(asprintf(&directory, "%s/class/%s", sysfs, device) > 0);
        return backing_find(directory, name);
}

static void test_ram(void **state) {
        static const struct {
                const char *device, *found; /* NULL: nothing in RAM */
        } table[] = {
                /* what cannot be looked through */
                { "nothing", NULL },
                { "loop0", NULL },
                { "loop3", NULL },
                { "loop4", NULL },
                { "loop5", NULL },
                { "loop6", NULL },
                { "dm-4", NULL },
                /* RAM, and its disguises */
                { "ram0", "ram0" },
                { "zram0", "zram0" },
                { "zram0p1", "zram0" },
                { "zram1", "zram1" },
                { "nullb0", "nullb0" },
                { "loop1", "loop1" },
                { "loop1p1", "loop1" },
                { "loop2", "loop2" },
                { "dm-1", "zram0" },
                { "dm-2", "zram0" },
                { "dm-9", "loop1" },
                { "md0", "ram0" },
                /* disks */
                { "sda", NULL },
                { "sda1", NULL },
                { "dm-0", NULL },
                { "dm-6", NULL },
                { "ramdisk", NULL },
                { "nvme0n1", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char name[BACKING_NAME_MAX] = "";

                assert_int_equal(find(table[i].device, name), !!table[i].found);
                if (table[i].found)
                        assert_string_equal(name, table[i].found);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ram),
        };

        return cmocka_run_group_tests(tests, make_world, remove_world);
}
