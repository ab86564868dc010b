/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* QEMU's arguments: what is read from the user's command, and what is made of it. */

#include "qemu.h"
#include "test.h"

/* What is made here lives as long as the process, which for the wrapper is not long. */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void) {
        return "detect_leaks=0";
}

#define COMMAND(...) ((char *const[]) { __VA_ARGS__, NULL })
#define X86 "qemu-system-x86_64"

/* Extends command, and gives all words of it back, one a line, for the caller to free. NULL if it is
 * refused. */
static char *extend(char *const *command, const QemuRequest *request) {
        char **words = qemu_extend(command, request), *text = NULL;
        size_t n;
        FILE *f;

        if (!words)
                return NULL;
        f = open_memstream(&text, &n);
        for (size_t i = 0; words[i]; i++)
                fprintf(f, "%s\n", words[i]);
        fclose(f);
        return text;
}

typedef struct Case {
        char *const *command;
        const char *expected, *unexpected; /* lines, or parts of one; NULL: none */
} Case;

static void check(const Case *table, size_t n, const QemuRequest *request) {
        for (size_t i = 0; i < n; i++) {
                _cleanup_free_ char *text = extend(table[i].command, request);

                assert_non_null(text);
                if ((table[i].expected && !strstr(text, table[i].expected)) ||
                    (table[i].unexpected && strstr(text, table[i].unexpected)))
                        fail_msg("case %zu:\n%s", i, text);
                assert_non_null(strstr(text, "-machine\ndump-guest-core=off\n"));
        }
}

static void test_append(void **state) {
        const Case table[] = {
                /* no values, values that look like options, nothing at all */
                { COMMAND(X86, "-append"), NULL, "vm_disk" },
                { COMMAND(X86, "-M"), NULL, "vm_disk" },
                { COMMAND(X86), NULL, "vm_disk" },
                { COMMAND(X86, ""), NULL, "vm_disk" },
                { COMMAND(X86, "-"), NULL, "vm_disk" },
                { COMMAND(X86, "--"), NULL, "vm_disk" },
                /* before the user's words, which win, and of which a "--" ends the kernel's part */
                { COMMAND(X86, "-append", "a"), "\n-append\nccvm.vm_disk=1 a\n", "fw_cfg" },
                { COMMAND(X86, "-append", "ccvm.vm_disk=0 -- b"), "\nccvm.vm_disk=1 ccvm.vm_disk=0 -- b\n",
                  NULL },
                { COMMAND(X86, "-append", "dyndbg=\"file a.c +p\" %s"),
                  "\nccvm.vm_disk=1 dyndbg=\"file a.c +p\" %s\n", NULL },
                { COMMAND(X86, "-append", ""), "\nccvm.vm_disk=1 \n", NULL },
                /* one dash or two, and the last one counts */
                { COMMAND(X86, "--append", "a", "-append", "b"), "\nccvm.vm_disk=1 b\n", NULL },
                /* as a key of the machine it is not ours to merge */
                { COMMAND(X86, "-append", "a", "-machine", "append=b c"), NULL, "vm_disk" },
                { COMMAND(X86, "-M", "q35,append=a,accel=tcg", "-append", "b"), "\nccvm.vm_disk=1 b\n",
                  NULL },
                /* a UKI has a command line of its own, which -append would take away */
                { COMMAND(X86, "-kernel", "k"), NULL, "-append" },
                { COMMAND("qemu-system-s390x", "-append", "a"), "\nccvm.vm_disk=1 a\n", "vm-disk" },
                { COMMAND("qemu-system-s390x"), NULL, "vm-disk" },
        };

        check(table, ELEMENTSOF(table), &(QemuRequest) { 9, -1 });
}

#define SMBIOS "-smbios\ntype=11,value=io.systemd.credential:ccvm.vm-disk=1\n"
#define FW_CFG "-fw_cfg\nname=opt/io.systemd.credentials/ccvm.vm-disk,string=1\n"

static void test_credential(void **state) {
        const Case table[] = {
                { COMMAND(X86), SMBIOS, "fw_cfg" },
                { COMMAND("/usr/bin/" X86, "-append", "a"), SMBIOS, "fw_cfg" },
                { COMMAND("qemu-system-i386"), SMBIOS, "fw_cfg" },
                { COMMAND(X86, "-M", "microvm"), FW_CFG, "-smbios" },
                { COMMAND(X86, "-machine", "type=microvm"), FW_CFG, "-smbios" },
                { COMMAND(X86, "-machine", "accel=tcg,type=microvm,acpi=off"), FW_CFG, "-smbios" },
                { COMMAND(X86, "-M", "microvm", "-M", "accel=tcg"), FW_CFG, "-smbios" },
                { COMMAND(X86, "-M", "microvm", "-M", "q35,accel=tcg"), SMBIOS, "fw_cfg" },
                { COMMAND(X86, "-M", "microvms"), SMBIOS, "fw_cfg" },
                { COMMAND(X86, "-M", "q35,memory-backend=microvm"), SMBIOS, "fw_cfg" },
                { COMMAND("/usr/bin/qemu-system-x86_64-microvm"), FW_CFG, "-smbios" },
                { COMMAND("qemu-system-aarch64", "-M", "virt"), FW_CFG, "-smbios" },
                { COMMAND("qemu-system-arm", "-M", "virt"), FW_CFG, "-smbios" },
                { COMMAND("qemu-system-s390x"), NULL, "vm-disk" },
                { COMMAND("qemu-system-ppc64"), NULL, "vm-disk" },
                { COMMAND("qemu-system-riscv64"), NULL, "vm-disk" },
                /* behind a launcher it is the program that says so, and not what is named after one */
                { COMMAND("taskset", "1", "qemu-system-aarch64"), FW_CFG, "-smbios" },
                { COMMAND("flock", "/run/qemu-system-arm.lock", X86), SMBIOS, "fw_cfg" },
                { COMMAND(X86, "-name", "qemu-system-aarch64"), SMBIOS, "fw_cfg" },
                { COMMAND(X86, "-name", "qemu-system-x86_64-microvm"), SMBIOS, "fw_cfg" },
                { COMMAND("/opt/qemu-system-arm/" X86), SMBIOS, "fw_cfg" },
                /* "kvm" is also a value of other programs' options: QEMU comes later here */
                { COMMAND("run", "-accel", "kvm", "qemu-system-aarch64"), FW_CFG, "-smbios" },
                { COMMAND("./start-vm", "-M", "microvm", "-append", "x", "-accel", "kvm"),
                  "\nccvm.vm_disk=1 x\n", "iothread" },
                /* a user's own of that name */
                { COMMAND(X86, "-smbios", "type=11,value=io.systemd.credential.binary:ccvm.vm-disk=MQ=="),
                  NULL, "credential:ccvm.vm-disk" },
                { COMMAND("qemu-system-arm", "-fw_cfg",
                          "name=opt/io.systemd.credentials/ccvm.vm-disk,string=hotplug"),
                  NULL, FW_CFG },
        };

        check(table, ELEMENTSOF(table), &(QemuRequest) { 9, -1 });
}

static void test_disk(void **state) {
        const Case table[] = {
                { COMMAND(X86, "-M", "pc"), X86 "\n-M\npc\n-add-fd\nfd=9,set=6377\n", "mem-lock" },
                { COMMAND(X86), "\"serial\":\"ccvm-scratch\"", "ccvm.status" },
                { COMMAND(X86), "\"discard\":\"unmap\"", "fallback" },
                { COMMAND(X86), "\"no-flush\":true", "-chardev" },
                { COMMAND(X86), "\"werror\":\"report\",\"rerror\":\"report\"", "overcommit" },
                { COMMAND(X86), "\"logical_block_size\":4096,\"physical_block_size\":4096", "-qmp" },
                { COMMAND(X86), "-object\niothread,id=ccvm-scratch-io\n", "monitor" },
                { COMMAND(X86), "\"iothread\":\"ccvm-scratch-io\"", NULL },
                { COMMAND(X86, "-M", "microvm"), "\"driver\":\"virtio-blk-device\"", "iothread" },
                { COMMAND("qemu-system-aarch64"), "\"driver\":\"virtio-blk\",\"iothread\"", "\"addr\"" },
        };

        check(table, ELEMENTSOF(table), &(QemuRequest) { 9, -1 });
}

#define PORT "\"id\":\"ccvm-scratch-bus\",\"addr\":\"0x1e\","
#define BEHIND_PORT "\"multifunction\":true,\"bus\":\"ccvm-scratch-bus\",\"addr\":\"0.0\","
#define LAST_SLOT "\"driver\":\"virtio-blk\",\"addr\":\"0x1f\","

static void test_place(void **state) {
        const Case table[] = {
                { COMMAND(X86, "-M", "q35"), PORT, "0x1f" },
                { COMMAND(X86, "-M", "q35"), BEHIND_PORT, NULL },
                { COMMAND(X86, "-M", "pc-q35-7.2,accel=tcg"), PORT, NULL },
                { COMMAND(X86, "-M", "pc"), LAST_SLOT, "root-port" },
                { COMMAND(X86, "-M", "pc-i440fx-7.2"), LAST_SLOT, "root-port" },
                { COMMAND(X86, "-M", "q35", "-M", "pc"), LAST_SLOT, "root-port" },
                { COMMAND(X86, "-M", "isapc"), NULL, "\"addr\"" },
                { COMMAND("qemu-system-riscv64", "-M", "virt"), NULL, "\"addr\"" },
                /* a place that somebody else has */
                { COMMAND(X86, "-M", "q35", "-device", "pcie-root-port,id=a,addr=0x1d"), PORT, NULL },
                { COMMAND(X86, "-M", "q35", "-device", "pcie-root-port,id=a,addr=0x1e"), BEHIND_PORT, PORT },
                { COMMAND(X86, "-M", "q35", "-device", "e1000e,bus=pcie.0,addr=1e.0"), BEHIND_PORT, PORT },
                { COMMAND(X86, "-device", "{\"driver\":\"e1000e\", \"addr\": \"0x1e\"}", "-M", "q35"),
                  BEHIND_PORT, PORT },
                { COMMAND(X86, "-M", "q35", "-device", "e1000e,bus=other,addr=0x1e"), PORT, NULL },
                { COMMAND(X86, "-M", "q35", "-device", "e1000e,id=addr,mac=addr"), PORT, NULL },
                { COMMAND(X86, "-M", "pc", "-device", "e1000,addr=0x1e"), LAST_SLOT, NULL },
                { COMMAND(X86, "-M", "pc", "-device", "e1000,addr=0x1f"), NULL, LAST_SLOT },
                /* a machine that nobody has named here */
                { COMMAND(X86), NULL, "\"addr\"" },
                { COMMAND("qemu-kvm"), NULL, "\"addr\"" },
                { COMMAND(X86, "-readconfig", "f"), NULL, "\"addr\"" },
                { COMMAND("./start-vm"), NULL, "\"addr\"" },
        };

        check(table, ELEMENTSOF(table), &(QemuRequest) { 9, -1 });
}

static void test_genid(void **state) {
        static const char genid[] = "\"driver\":\"vmgenid\"";
        const Case table[] = {
                { COMMAND(X86), genid, NULL },
                { COMMAND("/usr/bin/qemu-system-i386"), genid, NULL },
                { COMMAND("qemu-system-i386", "-M", "q35"), genid, NULL },
                { COMMAND(X86, "-M", "pc-q35-2.5"), genid, NULL },
                { COMMAND(X86, "-M", "pc-i440fx-10.0,accel=tcg"), genid, NULL },
                { COMMAND(X86, "-M", "pc-q35-rhel9.2.0"), genid, NULL },
                /* which cannot have one */
                { COMMAND(X86, "-M", "pc-q35-2.4"), NULL, genid },
                { COMMAND(X86, "-M", "pc-i440fx-1.7"), NULL, genid },
                { COMMAND(X86, "-M", "microvm"), NULL, genid },
                { COMMAND(X86, "-M", "isapc"), NULL, genid },
                { COMMAND("qemu-system-aarch64", "-M", "virt"), NULL, genid },
                /* which has one, or may have */
                { COMMAND(X86, "-device", "vmgenid,guid=auto"), NULL, genid },
                { COMMAND(X86, "-readconfig", "f"), NULL, genid },
                { COMMAND("./start-vm"), NULL, genid },
        };

        check(table, ELEMENTSOF(table), &(QemuRequest) { 9, -1 });
}

static void test_require_encrypted(void **state) {
        const Case table[] = {
                /* both ways, if there are two */
                { COMMAND(X86, "-append", "a"), "\nccvm.vm_disk=1 ccvm.fallback=fail a\n", "ccvm.conf" },
                { COMMAND(X86, "-append", "a"), "\ntype=11,value=io.systemd.credential:ccvm.fallback=fail\n",
                  NULL },
                { COMMAND(X86), "\ntype=11,value=io.systemd.credential:ccvm.fallback=fail\n", "-append" },
                { COMMAND(X86, "-M", "microvm"),
                  "\nname=opt/io.systemd.credentials/ccvm.fallback,string=fail\n", "smbios" },
                { COMMAND("qemu-system-s390x", "-append", "a"), "\nccvm.vm_disk=1 ccvm.fallback=fail a\n",
                  "credential" },
                /* beside what the user has in a credential */
                { COMMAND("qemu-system-arm", "-fw_cfg", "name=opt/io.systemd.credentials/ccvm.conf,file=f"),
                  "\nname=opt/io.systemd.credentials/ccvm.fallback,string=fail\n", NULL },
        };
        const QemuRequest request = { 9, -1, .require_encrypted = true };

        check(table, ELEMENTSOF(table), &request);
        /* What cannot be demanded is refused, and what cannot be told is only warned of. */
        assert_null(extend(COMMAND("qemu-system-riscv64", "-M", "virt"), &request));
        assert_non_null(extend(COMMAND("qemu-system-riscv64", "-M", "virt"), &(QemuRequest) { 9, -1 }));
}

static void test_lock_memory(void **state) {
        const Case table[] = {
                { COMMAND(X86, "-overcommit", "cpu-pm=on"), "-overcommit\nmem-lock=on\n", NULL },
        };

        check(table, ELEMENTSOF(table), &(QemuRequest) { 9, -1, .lock_memory = true });
}

static void test_status(void **state) {
        const Case table[] = {
                { COMMAND(X86),
                  "-add-fd\nfd=10,set=63771\n-chardev\n"
                  "file,id=ccvm-scratch-report,path=/dev/fdset/63771,append=on\n",
                  NULL },
                { COMMAND(X86), "{\"driver\":\"virtio-serial\",\"id\":\"ccvm-scratch-serial\"", NULL },
                { COMMAND(X86), "\"name\":\"ccvm.status\"", NULL },
                { COMMAND(X86, "-M", "q35"),
                  "\"virtio-serial\",\"bus\":\"ccvm-scratch-bus\",\"addr\":\"0.1\"", NULL },
                { COMMAND(X86, "-M", "microvm"), "{\"driver\":\"virtio-serial-device\"", NULL },
        };

        check(table, ELEMENTSOF(table), &(QemuRequest) { 9, 10 });
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_append),      cmocka_unit_test(test_credential),
                cmocka_unit_test(test_disk),        cmocka_unit_test(test_place),
                cmocka_unit_test(test_genid),       cmocka_unit_test(test_require_encrypted),
                cmocka_unit_test(test_lock_memory), cmocka_unit_test(test_status),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
