/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The VMM's arguments: what is read from the user's command, and what is made of it. */

#include "qemu.h"
#include "test.h"

static void test_cmdline(void **state) {
        static const struct {
                const char *in, *out;
        } table[] = {
                { NULL, "ccvm.vm_disk=1" },
                { "", "ccvm.vm_disk=1" },
                { "--", "ccvm.vm_disk=1 --" },
                { " ", "  ccvm.vm_disk=1" },
                /* the last one wins */
                { "ccvm.vm_disk=0", "ccvm.vm_disk=0 ccvm.vm_disk=1" },
                { "quiet -- ccvm.vm_disk=1", "quiet ccvm.vm_disk=1 -- ccvm.vm_disk=1" },
                /* in quotes, and in no word of its own, it is no end */
                { "dyndbg=\"file a -- b\" x", "dyndbg=\"file a -- b\" x ccvm.vm_disk=1" },
                { "dyndbg=\"a\" -- b", "dyndbg=\"a\" ccvm.vm_disk=1 -- b" },
                { "a\t--\tb", "a\tccvm.vm_disk=1 --\tb" },
                { "root=/dev/vda -- single", "root=/dev/vda ccvm.vm_disk=1 -- single" },
                { "init=/a--b --c", "init=/a--b --c ccvm.vm_disk=1" },
                { "dyndbg=\"file a.c +p\" %s", "dyndbg=\"file a.c +p\" %s ccvm.vm_disk=1" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *out = vmm_extend_cmdline(table[i].in, VMM_CMDLINE_OPTION);

                assert_string_equal(out, table[i].out);
        }
}

#define COMMAND(...) ((char *const[]) { __VA_ARGS__, NULL })

static void test_scan(void **state) {
        const struct {
                char *const *command;
                const char *machine, *append;
                QemuCommand expected;
        } table[] = {
                /* no values, values that look like options, nothing at all */
                { COMMAND("qemu-system-x86_64", "-append"), "s390x", NULL, {} },
                { COMMAND("qemu-system-x86_64", "-M"), "s390x", NULL, {} },
                { COMMAND(NULL), "x86_64", NULL, {} },
                /* one dash or two, the last one counts, also as a key of the machine */
                { COMMAND("q", "--append", "a", "-append", "b"), "x86_64", "b", {} },
                { COMMAND("q", "-append", "a", "-machine", "append=b c"), "x86_64", "b c", {} },
                { COMMAND("q", "-M", "q35,append=a,accel=tcg", "-append", "b"),
                  "x86_64",
                  "b",
                  { .q35 = true } },
                { COMMAND("q", "-M", "q35,append=a,accel=tcg"), "x86_64", "a", { .q35 = true } },
                /* a comma of the value is doubled there, and only there */
                { COMMAND("q", "-M", "append=a,,b=1,,,,c,accel=tcg"), "x86_64", "a,b=1,,c", {} },
                { COMMAND("q", "-append", "a,,b"), "x86_64", "a,,b", {} },
                { COMMAND("q", "-M", "append=a,,"), "x86_64", "a,", {} },
                { COMMAND("q", "--kernel", "k"), "x86_64", NULL, { .kernel = true } },
                { COMMAND("q", "-M", "q35,kernel=k"), "x86_64", NULL, { .kernel = true, .q35 = true } },
                /* machines */
                { COMMAND("q", "-M", "microvm"),
                  "x86_64",
                  NULL,
                  { .microvm = true, .firmware = QEMU_FW_CFG } },
                { COMMAND("q", "-machine", "microvm,acpi=off"),
                  "i686",
                  NULL,
                  { .microvm = true, .firmware = QEMU_FW_CFG } },
                { COMMAND("q", "-machine", "type=microvm"),
                  "x86_64",
                  NULL,
                  { .microvm = true, .firmware = QEMU_FW_CFG } },
                { COMMAND("q", "-machine", "accel=tcg,type=microvm"),
                  "x86_64",
                  NULL,
                  { .microvm = true, .firmware = QEMU_FW_CFG } },
                { COMMAND("q", "-M", "microvm", "-M", "accel=tcg"),
                  "x86_64",
                  NULL,
                  { .microvm = true, .firmware = QEMU_FW_CFG } },
                { COMMAND("q", "-M", "microvm", "-M", "q35,accel=tcg"), "x86_64", NULL, { .q35 = true } },
                { COMMAND("q", "-M", "microvms"), "x86_64", NULL, {} },
                { COMMAND("q", "-M", "q35,memory-backend=microvm"), "x86_64", NULL, { .q35 = true } },
                { COMMAND("q", "-M", "pc-q35-7.2"), "x86_64", NULL, { .q35 = true } },
                { COMMAND("q", "-M", "q35", "-M", "pc"), "x86_64", NULL, {} },
                /* the program's name says the architecture, and else the host does */
                { COMMAND("/usr/bin/qemu-system-x86_64-microvm"),
                  "aarch64",
                  NULL,
                  { .microvm = true, .firmware = QEMU_FW_CFG } },
                { COMMAND("qemu-system-i386"), "aarch64", NULL, {} },
                { COMMAND("qemu-system-aarch64", "-M", "virt"),
                  "x86_64",
                  NULL,
                  { .firmware = QEMU_FW_CFG } },
                { COMMAND("qemu-system-s390x"), "x86_64", NULL, { .firmware = QEMU_NEITHER } },
                { COMMAND("qemu-system-ppc64"), "x86_64", NULL, { .firmware = QEMU_NEITHER } },
                { COMMAND("qemu-system-riscv64"), "x86_64", NULL, { .firmware = QEMU_NEITHER } },
                { COMMAND("qemu-kvm"), "aarch64", NULL, { .firmware = QEMU_FW_CFG } },
                { COMMAND("qemu-kvm"), "ppc64le", NULL, { .firmware = QEMU_NEITHER } },
                { COMMAND("qemu-kvm", "-name", "qemu-system-aarch64"), "x86_64", NULL, {} },
                { COMMAND("/opt/qemu-system-arm/qemu-kvm"), "x86_64", NULL, {} },
                { COMMAND("qemu-kvm", "-name", "qemu-system-x86_64-microvm"), "x86_64", NULL, {} },
                /* a place that somebody has chosen */
                { COMMAND("q", "-device", "virtio-blk-pci,drive=u,bus=rp0"),
                  "x86_64",
                  NULL,
                  { .placed = true } },
                { COMMAND("q", "-device", "virtio-blk,drive=u,addr=0x10"),
                  "x86_64",
                  NULL,
                  { .placed = true } },
                { COMMAND("q", "-device", "{\"driver\":\"virtio-blk-pci\",\"bus\":\"rp0\"}"),
                  "x86_64",
                  NULL,
                  { .placed = true } },
                { COMMAND("q", "-device", "{\"driver\":\"pcie-root-port\", \"addr\": \"0x2\"}"),
                  "x86_64",
                  NULL,
                  { .port_placed = true } },
                { COMMAND("q", "-device", "virtio-net-pci,bus=rp0"), "x86_64", NULL, {} },
                { COMMAND("q", "-device", "pcie-root-port,id=rp0,addr=0x1d"),
                  "x86_64",
                  NULL,
                  { .port_placed = true } },
                { COMMAND("q", "-device", "pxb-pcie,id=second,bus_nr=128"), "x86_64", NULL, {} },
                { COMMAND("q", "-daemonize"), "x86_64", NULL, { .daemon = true } },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(qemu_command_done) QemuCommand c = {};
                const QemuCommand *e = &table[i].expected;

                assert_int_equal(qemu_scan(table[i].command, table[i].machine, &c), 0);
                if (c.kernel != e->kernel || c.microvm != e->microvm || c.firmware != e->firmware ||
                    c.placed != e->placed || c.q35 != e->q35 || c.port_placed != e->port_placed ||
                    c.daemon != e->daemon || !c.append != !table[i].append ||
                    (c.append && !streq(c.append, table[i].append)))
                        fail_msg("case %zu: append '%s', kernel %i, microvm %i, firmware %i, placed %i", i,
                                 c.append ?: "", c.kernel, c.microvm, c.firmware, c.placed);
        }
}

/* Attaches to command and gives the arguments back, one a line, for the caller to free. */
static char *attach(char *const *command, const VmmRequest *request) {
        _cleanup_(qemu_command_done) QemuCommand scanned = {};
        _cleanup_(argv_done) Argv argv = {};
        char *text = NULL;
        size_t n;
        FILE *f;

        argv_extend(&argv, command);
        assert_int_equal(qemu_scan(argv.v, "x86_64", &scanned), 0);
        qemu_attach(&argv, &scanned, request);
        assert_int_equal(argv.error, 0);
        assert_null(argv.v[argv.n]);
        f = open_memstream(&text, &n);
        for (size_t i = 0; i < argv.n; i++)
                fprintf(f, "%s\n", argv.v[i]);
        fclose(f);
        return text;
}

static void test_attach(void **state) {
        static const char credential[] = "-smbios\ntype=11,value=io.systemd.credential:ccvm.vm-disk=1\n";
        static const char fw_cfg[] = "-fw_cfg\nname=opt/io.systemd.credentials/ccvm.vm-disk,string=1\n";
        const struct {
                char *const *command;
                VmmMarker marker;
                const char *expected, *unexpected;
        } table[] = {
                /* both ways, behind the user's own */
                { COMMAND("q", "-append", "a"), VMM_MARKER_AUTO, "\n-append\na ccvm.vm_disk=1\n", "fw_cfg" },
                { COMMAND("q", "-append", "a"), VMM_MARKER_AUTO, credential, "fw_cfg" },
                { COMMAND("q", "-append", "a"), VMM_MARKER_APPEND, "\n-append\na ccvm.vm_disk=1\n",
                  "vm-disk" },
                { COMMAND("q", "-append", "a"), VMM_MARKER_CREDENTIAL, credential, "vm_disk" },
                { COMMAND("q", "-append", "a"), VMM_MARKER_NONE, "q\n-append\na\n-add-fd", "vm_disk" },
                { COMMAND("q", "-append", "a", "-append", "b"), VMM_MARKER_APPEND,
                  "\n-append\nb ccvm.vm_disk=1\n", "vm-disk" },
                { COMMAND("q", "-append", "a", "-M", "append=b"), VMM_MARKER_APPEND,
                  "\n-append\nb ccvm.vm_disk=1\n", "vm-disk" },
                { COMMAND("q", "-kernel", "k"), VMM_MARKER_APPEND, "-append\nccvm.vm_disk=1\n", "vm-disk" },
                /* a UKI has a command line of its own, which -append would take away */
                { COMMAND("q", "-kernel", "k"), VMM_MARKER_AUTO, credential, "-append" },
                { COMMAND("q"), VMM_MARKER_AUTO, credential, "vm_disk" },
                { COMMAND("q"), VMM_MARKER_NONE, "dump-guest-core=off", "vm-disk" },
                { COMMAND("q", "-M", "microvm"), VMM_MARKER_AUTO, fw_cfg, "-smbios" },
                { COMMAND("qemu-system-aarch64", "-M", "virt"), VMM_MARKER_AUTO, fw_cfg, "-smbios" },
                { COMMAND("qemu-system-s390x", "-append", "a"), VMM_MARKER_AUTO, "a ccvm.vm_disk=1",
                  "vm-disk" },
                { COMMAND("qemu-system-s390x"), VMM_MARKER_AUTO, "virtio-blk", "vm-disk" },
                { COMMAND("q", "-M", "microvm"), VMM_MARKER_NONE, "\"driver\":\"virtio-blk-device\"",
                  "vm-disk" },
                { COMMAND("q", "-M", "q35"), VMM_MARKER_NONE, "\"driver\":\"virtio-blk\"", "mem-lock" },
                { COMMAND("q", "-M", "q35"), VMM_MARKER_NONE,
                  "\"bus\":\"ccvm-scratch-bus\",\"addr\":\"0.0\",\"multifunction\":true", "vm-disk" },
                { COMMAND("q", "-M", "pc"), VMM_MARKER_NONE, "\"driver\":\"virtio-blk\",\"id\"",
                  "root-port" },
                { COMMAND("q", "-M", "q35"), VMM_MARKER_NONE, "-object\niothread,id=ccvm-scratch-io\n",
                  "vm-disk" },
                { COMMAND("q", "-M", "q35"), VMM_MARKER_NONE, "\"iothread\":\"ccvm-scratch-io\"",
                  "vm-disk" },
                { COMMAND("q", "-M", "microvm"), VMM_MARKER_NONE, "\"aio\":\"threads\"", "iothread" },
                { COMMAND("q"), VMM_MARKER_NONE, "-add-fd\nfd=9,set=", "mem-lock" },
                { COMMAND("q"), VMM_MARKER_NONE, "\"serial\":\"ccvm-scratch\"", "mem-lock" },
                { COMMAND("q"), VMM_MARKER_NONE, "\"discard\":\"unmap\"", "mem-lock" },
                { COMMAND("q"), VMM_MARKER_NONE, "\"no-flush\":true", "fallback" },
                { COMMAND("q", "-M", "pc"), VMM_MARKER_NONE, "q\n-M\npc\n-add-fd\n", "monitor" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                const VmmRequest request = { 9, -1, -1, .marker = table[i].marker };
                _cleanup_free_ char *text = attach(table[i].command, &request);

                if (!strstr(text, table[i].expected) || strstr(text, table[i].unexpected))
                        fail_msg("case %zu:\n%s", i, text);
                assert_non_null(strstr(text, "-machine\ndump-guest-core=off\n"));
        }
}

/* The guest is told once: by the command line if there is one. */
static void test_require_encrypted(void **state) {
        static const char monitor[] = "-chardev\nsocket,id=ccvm-scratch-monitor,fd=11\n"
                                      "-qmp\nchardev:ccvm-scratch-monitor\n";
        const VmmRequest request = { 9, 10, 11, .require_encrypted = true };
        const struct {
                char *const *command;
                const char *expected, *unexpected;
        } table[] = {
                { COMMAND("q", "-append", "a"), "\na ccvm.vm_disk=1 ccvm.fallback=fail\n", "ccvm.conf" },
                { COMMAND("q"),
                  "-smbios\ntype=11,value=io.systemd.credential.binary:ccvm.conf="
                  "W1NjcmF0Y2hdCkZhbGxiYWNrPWZhaWwK\n",
                  "ccvm.fallback" },
                { COMMAND("q", "-M", "microvm"),
                  "name=opt/io.systemd.credentials/ccvm.conf,string=[Scratch]\nFallback=fail\n", "smbios" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *text = attach(table[i].command, &request);

                if (!strstr(text, table[i].expected) || strstr(text, table[i].unexpected) ||
                    !strstr(text, monitor))
                        fail_msg("case %zu:\n%s", i, text);
        }
}

static void test_warning(void **state) {
        const struct {
                const char *append;
                bool q35, placed, port_placed;
                QemuFirmware firmware;
                VmmMarker marker;
                const char *word;
        } table[] = {
                { "root=/dev/vda", false, true, false, QEMU_SMBIOS, VMM_MARKER_AUTO, "LABEL=" },
                { "root=/dev/vda", false, false, false, QEMU_SMBIOS, VMM_MARKER_AUTO, NULL },
                { "root=LABEL=a", false, true, false, QEMU_SMBIOS, VMM_MARKER_AUTO, NULL },
                { NULL, false, true, false, QEMU_SMBIOS, VMM_MARKER_AUTO, NULL },
                { "root=/dev/vda", true, true, false, QEMU_SMBIOS, VMM_MARKER_AUTO, NULL },
                { "root=/dev/vda", true, true, true, QEMU_SMBIOS, VMM_MARKER_AUTO, "LABEL=" },
                { NULL, false, false, false, QEMU_NEITHER, VMM_MARKER_AUTO, "ccvm.vm_disk=1" },
                { NULL, false, false, false, QEMU_NEITHER, VMM_MARKER_NONE, NULL },
                { "a", false, false, false, QEMU_NEITHER, VMM_MARKER_AUTO, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                const QemuCommand c = { .append = (char *) table[i].append,
                                        .q35 = table[i].q35,
                                        .placed = table[i].placed,
                                        .port_placed = table[i].port_placed,
                                        .firmware = table[i].firmware };
                const char *text = qemu_warning(&c, table[i].marker);

                assert_int_equal(!text, !table[i].word);
                if (text)
                        assert_non_null(strstr(text, table[i].word));
        }
}

static void test_attach_lock_memory(void **state) {
        const VmmRequest request = { 9, -1, -1, .marker = VMM_MARKER_NONE, .lock_memory = true };
        _cleanup_free_ char *text = attach(COMMAND("q", "-overcommit", "cpu-pm=on"), &request);

        assert_non_null(strstr(text, "-overcommit\nmem-lock=on\n"));
}

static void test_report_port(void **state) {
        static const struct {
                bool microvm;
                const char *expected;
        } table[] = {
                { false, "\"driver\":\"virtio-serial\"" },
                { true, "\"driver\":\"virtio-serial-device\"" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                const VmmRequest request = { 9, 10, -1, .marker = VMM_MARKER_NONE };
                const QemuCommand scanned = { .microvm = table[i].microvm };
                _cleanup_(argv_done) Argv argv = {};
                bool socket = false, bus = false, port = false;

                qemu_attach(&argv, &scanned, &request);
                for (size_t j = 0; j < argv.n; j++) {
                        socket = socket || streq(argv.v[j], "socket,id=ccvm-scratch-report,fd=10");
                        bus = bus || strstr(argv.v[j], table[i].expected);
                        port = port || strstr(argv.v[j], "\"name\":\"ccvm.status\"");
                }
                assert_true(socket && bus && port);
        }
}

/* Golden, from the documentation of each. */
static void test_describe(void **state) {
        static const char disk[] = "path=/proc/self/fd/9,image_type=raw,serial=ccvm-scratch";
        static const char drive[] =
                "{\"drive_id\":\"ccvm-scratch\",\"path_on_host\":\"/proc/self/fd/9\","
                "\"is_root_device\":false,\"is_read_only\":false,\"cache_type\":\"Unsafe\"}";
        const struct {
                VmmKind kind;
                VmmMarker marker;
                char *const *expected;
        } table[] = {
                { VMM_CLOUD_HYPERVISOR, VMM_MARKER_CREDENTIAL,
                  COMMAND("--disk", (char *) disk, "--platform",
                          "oem_strings=[io.systemd.credential:ccvm.vm-disk=1]") },
                { VMM_CLOUD_HYPERVISOR, VMM_MARKER_NONE, COMMAND("--disk", (char *) disk) },
                { VMM_CROSVM, VMM_MARKER_CREDENTIAL,
                  COMMAND("--block", "path=/proc/self/fd/9,id=ccvm-scratch", "-p", "ccvm.vm_disk=1") },
                { VMM_CROSVM, VMM_MARKER_NONE, COMMAND("--block", "path=/proc/self/fd/9,id=ccvm-scratch") },
                { VMM_FIRECRACKER, VMM_MARKER_CREDENTIAL,
                  COMMAND((char *) drive, "ccvm.vm_disk=1 ccvm.serial=65025012") },
                { VMM_FIRECRACKER, VMM_MARKER_NONE, COMMAND((char *) drive) },
                { VMM_VMSPAWN, VMM_MARKER_CREDENTIAL,
                  COMMAND("--extra-drive=/proc/self/fd/9", "ccvm.vm_disk=1", "ccvm.serial=9") },
                { VMM_VMSPAWN, VMM_MARKER_NONE, COMMAND("--extra-drive=/proc/self/fd/9") },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                const VmmRequest request = { 9, -1, -1, .marker = table[i].marker };
                _cleanup_(argv_done) Argv args = {};
                size_t n = 0;

                vmm_describe(&args, table[i].kind, &request, "65025012");
                assert_int_equal(args.error, 0);
                for (; table[i].expected[n]; n++)
                        assert_string_equal(args.v[n], table[i].expected[n]);
                assert_int_equal(args.n, n);
        }
}

static void test_find(void **state) {
        const struct {
                char *const *command;
                int kind;
                size_t index;
        } table[] = {
                { COMMAND(NULL), _VMM_KIND_INVALID, 0 },
                { COMMAND(""), _VMM_KIND_INVALID, 0 },
                { COMMAND("/"), _VMM_KIND_INVALID, 0 },
                { COMMAND("sh", "-c", "exec qemu-system-x86_64"), _VMM_KIND_INVALID, 0 },
                { COMMAND("./start-vm"), _VMM_KIND_INVALID, 0 },
                { COMMAND("qemu-system-"), _VMM_KIND_INVALID, 0 },
                { COMMAND("qemu-img"), _VMM_KIND_INVALID, 0 },
                { COMMAND("/usr/bin/qemu-system-x86_64"), VMM_QEMU, 0 },
                { COMMAND("/usr/libexec/qemu-kvm"), VMM_QEMU, 0 },
                { COMMAND("timeout", "60", "qemu-system-aarch64", "-name", "crosvm"), VMM_QEMU, 2 },
                { COMMAND("flock", "/run/qemu-system-x86_64.lock", "qemu-system-arm"), VMM_QEMU, 2 },
                { COMMAND("qemu-system-x86_64-microvm"), VMM_QEMU, 0 },
                { COMMAND("taskset", "1", "/opt/cloud-hypervisor-static"), VMM_CLOUD_HYPERVISOR, 2 },
                { COMMAND("crosvm", "run"), VMM_CROSVM, 0 },
                { COMMAND("firecracker"), VMM_FIRECRACKER, 0 },
                { COMMAND("/usr/bin/systemd-vmspawn"), VMM_VMSPAWN, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                size_t index = 0;
                int kind = vmm_find(table[i].command, &index);

                if (kind != table[i].kind || index != table[i].index)
                        fail_msg("case %zu: kind %i at %zu", i, kind, index);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_cmdline),     cmocka_unit_test(test_scan),
                cmocka_unit_test(test_attach),      cmocka_unit_test(test_require_encrypted),
                cmocka_unit_test(test_warning),     cmocka_unit_test(test_attach_lock_memory),
                cmocka_unit_test(test_report_port), cmocka_unit_test(test_describe),
                cmocka_unit_test(test_find),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
