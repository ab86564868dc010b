/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The VMM's arguments: what is read from the user's command, and what is made of it. */

#include "cloud-hypervisor.h"
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
                { "ccvm.vm_disk=1", "ccvm.vm_disk=1" },
                { "ccvm.vm_disk=10", "ccvm.vm_disk=10 ccvm.vm_disk=1" },
                { "ccvm.vm_disk=0", "ccvm.vm_disk=0 ccvm.vm_disk=1" },
                { "xccvm.vm_disk=1", "xccvm.vm_disk=1 ccvm.vm_disk=1" },
                { "quiet ccvm.vm_disk=1 -- single", "quiet ccvm.vm_disk=1 -- single" },
                { "root=/dev/vda -- single", "root=/dev/vda ccvm.vm_disk=1 -- single" },
                { "init=/a--b --c", "init=/a--b --c ccvm.vm_disk=1" },
                { "dyndbg=\"file a.c +p\" %s", "dyndbg=\"file a.c +p\" %s ccvm.vm_disk=1" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *out = NULL;

                assert_int_equal(vmm_extend_cmdline(table[i].in, &out), 0);
                assert_string_equal(out, table[i].out);
        }
}

static void test_marker_names(void **state) {
        static const struct {
                const char *name;
                int marker;
        } table[] = {
                { "", _VMM_MARKER_INVALID },        { "Auto", _VMM_MARKER_INVALID },
                { "append ", _VMM_MARKER_INVALID }, { "auto", VMM_MARKER_AUTO },
                { "append", VMM_MARKER_APPEND },    { "credential", VMM_MARKER_CREDENTIAL },
                { "none", VMM_MARKER_NONE },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_int_equal(vmm_marker_from_string(table[i].name), table[i].marker);
}

#define COMMAND(...) ((char *const[]) { __VA_ARGS__, NULL })

static void test_scan(void **state) {
        const struct {
                char *const *command;
                QemuCommand expected;
        } table[] = {
                /* no values, values that look like options, nothing at all */
                { COMMAND("qemu-system-x86_64", "-append"), { .x86 = true } },
                { COMMAND("qemu-system-x86_64", "-M"), { .x86 = true } },
                { COMMAND("-"), { .x86 = true } },
                { COMMAND("x", "-append", "-M", "microvm"), { .x86 = true, .append = 2 } },
                /* one dash or two, the last one counts */
                { COMMAND("x", "--append", "a", "-append", "b"), { .x86 = true, .append = 4 } },
                { COMMAND("x", "--kernel", "k"), { .x86 = true, .kernel = true } },
                /* machines */
                { COMMAND("x", "-M", "microvm"), { .x86 = true, .microvm = true } },
                { COMMAND("x", "-machine", "microvm,acpi=off"), { .x86 = true, .microvm = true } },
                { COMMAND("x", "-machine", "type=microvm"), { .x86 = true, .microvm = true } },
                { COMMAND("x", "-M", "microvm", "-M", "accel=tcg"), { .x86 = true, .microvm = true } },
                { COMMAND("x", "-M", "microvm", "-M", "q35,accel=tcg"), { .x86 = true } },
                { COMMAND("x", "-M", "microvms"), { .x86 = true } },
                { COMMAND("x", "-M", "q35,memory-backend=microvm"), { .x86 = true } },
                /* the program's name says the architecture, wherever it stands */
                { COMMAND("/usr/bin/qemu-system-x86_64-microvm"), { .x86 = true, .microvm = true } },
                { COMMAND("taskset", "1", "/opt/qemu-system-aarch64", "-M", "virt"), { .x86 = false } },
                { COMMAND("qemu-kvm", "-drive", "file=qemu-system-aarch64"), { .x86 = true } },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                QemuCommand c;

                qemu_scan(table[i].command, &c);
                assert_int_equal(c.append, table[i].expected.append);
                assert_int_equal(c.kernel, table[i].expected.kernel);
                assert_int_equal(c.microvm, table[i].expected.microvm);
                assert_int_equal(c.x86, table[i].expected.x86);
        }
}

/* Attaches to command and gives the arguments back, one a line, for the caller to free. */
static char *attach(char *const *command, VmmMarker marker, bool lock_memory) {
        VmmRequest request = {
                .image_fd = 9, .report_fd = -1, .marker = marker, .lock_memory = lock_memory
        };
        QemuCommand scanned;
        _cleanup_(argv_done) Argv argv = {};
        char *text = NULL;
        size_t n;
        FILE *f;

        assert_int_equal(argv_extend(&argv, command), 0);
        qemu_scan(argv.v, &scanned);
        assert_int_equal(qemu_attach(&argv, &scanned, &request), 0);
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
                { COMMAND("q", "-append", "a"), VMM_MARKER_AUTO, "q\n-append\na ccvm.vm_disk=1\n",
                  "vm-disk" },
                { COMMAND("q", "-append", "a"), VMM_MARKER_CREDENTIAL, credential, "vm_disk" },
                { COMMAND("q", "-append", "a"), VMM_MARKER_NONE, "q\n-append\na\n", "vm_disk" },
                { COMMAND("q", "-append", "a", "-append", "b"), VMM_MARKER_APPEND,
                  "\na\n-append\nb ccvm.vm_disk=1\n", "vm-disk" },
                { COMMAND("q", "-kernel", "k"), VMM_MARKER_APPEND, "-append\nccvm.vm_disk=1\n", "vm-disk" },
                { COMMAND("q", "-kernel", "k"), VMM_MARKER_AUTO, credential, "-append" },
                { COMMAND("q"), VMM_MARKER_AUTO, credential, "vm_disk" },
                { COMMAND("q"), VMM_MARKER_NONE, "dump-guest-core=off", "vm-disk" },
                { COMMAND("q", "-M", "microvm"), VMM_MARKER_AUTO, fw_cfg, "-smbios" },
                { COMMAND("qemu-system-aarch64", "-M", "virt"), VMM_MARKER_AUTO, fw_cfg, "-smbios" },
                { COMMAND("q", "-M", "microvm"), VMM_MARKER_NONE, "\"driver\":\"virtio-blk-device\"",
                  "vm-disk" },
                { COMMAND("q", "-M", "q35"), VMM_MARKER_NONE, "\"driver\":\"virtio-blk\"", "mem-lock" },
                { COMMAND("q", "-M", "q35"), VMM_MARKER_NONE, "-object\niothread,id=ccvm-scratch-io\n",
                  "vm-disk" },
                { COMMAND("q", "-M", "q35"), VMM_MARKER_NONE, "\"iothread\":\"ccvm-scratch-io\"",
                  "vm-disk" },
                { COMMAND("q", "-M", "microvm"), VMM_MARKER_NONE, "\"aio\":\"threads\"", "iothread" },
                { COMMAND("q"), VMM_MARKER_NONE, "-add-fd\nfd=9,set=", "mem-lock" },
                { COMMAND("q"), VMM_MARKER_NONE, "\"serial\":\"ccvm-scratch\"", "mem-lock" },
                { COMMAND("q"), VMM_MARKER_NONE, "\"discard\":\"unmap\"", "mem-lock" },
                { COMMAND("q"), VMM_MARKER_NONE, "\"no-flush\":true", "mem-lock" },
                { COMMAND("q", "-M", "pc"), VMM_MARKER_NONE, "q\n-M\npc\n-add-fd\n", "mem-lock" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *text = attach(table[i].command, table[i].marker, false);

                if (!strstr(text, table[i].expected) || strstr(text, table[i].unexpected))
                        fail_msg("case %zu:\n%s", i, text);
                assert_non_null(strstr(text, "-machine\ndump-guest-core=off\n"));
        }
}

static void test_attach_lock_memory(void **state) {
        _cleanup_free_ char *text = attach(COMMAND("q", "-overcommit", "cpu-pm=on"), VMM_MARKER_NONE, true);

        assert_non_null(strstr(text, "-overcommit\nmem-lock=on\n"));
}

static void test_attach_nothing_to_append(void **state) {
        VmmRequest request = { .image_fd = 9, .report_fd = -1, .marker = VMM_MARKER_APPEND };
        QemuCommand scanned;
        _cleanup_(argv_done) Argv argv = {};

        assert_int_equal(argv_add(&argv, "q", "-hda", "x"), 0);
        qemu_scan(argv.v, &scanned);
        assert_int_equal(qemu_attach(&argv, &scanned, &request), -EINVAL);
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
                const VmmRequest request = { .image_fd = 9, .report_fd = 10, .marker = VMM_MARKER_NONE };
                const QemuCommand scanned = { .microvm = table[i].microvm };
                _cleanup_(argv_done) Argv argv = {};
                bool socket = false, bus = false, port = false;

                assert_int_equal(qemu_attach(&argv, &scanned, &request), 0);
                for (size_t j = 0; j < argv.n; j++) {
                        socket = socket || streq(argv.v[j], "socket,id=ccvm-scratch-report,fd=10");
                        bus = bus || strstr(argv.v[j], table[i].expected);
                        port = port || strstr(argv.v[j], "\"name\":\"ccvm.status\"");
                }
                assert_true(socket && bus && port);
        }
}

static void test_cloud_hypervisor(void **state) {
#define DISK "path=/proc/self/fd/9,image_type=raw,serial=ccvm-scratch"
#define CREDENTIAL "io.systemd.credential:ccvm.vm-disk=1"
        const struct {
                VmmMarker marker;
                char *const *in, *const *out;
        } table[] = {
                { VMM_MARKER_NONE, COMMAND("c"), COMMAND("c", "--disk", DISK) },
                { VMM_MARKER_AUTO, COMMAND("c"),
                  COMMAND("c", "--disk", DISK, "--platform", "oem_strings=[" CREDENTIAL "]") },
                /* an option without a value is Cloud Hypervisor's to complain about */
                { VMM_MARKER_NONE, COMMAND("c", "--disk"), COMMAND("c", "--disk", "--disk", DISK) },
                { VMM_MARKER_NONE, COMMAND("c", "--diskx", "a"),
                  COMMAND("c", "--diskx", "a", "--disk", DISK) },
                /* several disks after one --disk */
                { VMM_MARKER_NONE, COMMAND("c", "--disk", "path=a", "path=b", "--cpus", "boot=1"),
                  COMMAND("c", "--disk", "path=a", "path=b", DISK, "--cpus", "boot=1") },
                { VMM_MARKER_NONE, COMMAND("c", "--disk=path=a"), COMMAND("c", "--disk=path=a", DISK) },
                /* the kernel command line, in both spellings */
                { VMM_MARKER_AUTO, COMMAND("c", "--cmdline", "quiet"),
                  COMMAND("c", "--cmdline", "quiet ccvm.vm_disk=1", "--disk", DISK) },
                { VMM_MARKER_APPEND, COMMAND("c", "--cmdline=a=b -- c"),
                  COMMAND("c", "--cmdline=a=b ccvm.vm_disk=1 -- c", "--disk", DISK) },
                /* the platform, with and without other strings */
                { VMM_MARKER_CREDENTIAL, COMMAND("c", "--platform", "num_pci_segments=2"),
                  COMMAND("c", "--platform", "num_pci_segments=2,oem_strings=[" CREDENTIAL "]", "--disk",
                          DISK) },
                { VMM_MARKER_CREDENTIAL, COMMAND("c", "--platform", "oem_strings=[a,b],iommu=on"),
                  COMMAND("c", "--platform", "oem_strings=[" CREDENTIAL ",a,b],iommu=on", "--disk", DISK) },
                { VMM_MARKER_CREDENTIAL, COMMAND("c", "--platform=oem_strings=a,iommu=on"),
                  COMMAND("c", "--platform=oem_strings=[" CREDENTIAL ",a],iommu=on", "--disk", DISK) },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                const VmmRequest request = { .image_fd = 9, .report_fd = -1, .marker = table[i].marker };
                _cleanup_(argv_done) Argv argv = {};
                size_t j;

                assert_int_equal(argv_extend(&argv, table[i].in), 0);
                assert_int_equal(cloud_hypervisor_attach(&argv, &request), 0);
                /* where the options stand does not matter, which ones do */
                for (j = 0; table[i].out[j]; j++)
                        ;
                assert_int_equal(argv.n, j);
                for (j = 0; j < argv.n; j++)
                        if (!streq(argv.v[j], table[i].out[j]))
                                fail_msg("case %zu: '%s', expected '%s'", i, argv.v[j], table[i].out[j]);
        }
}

static void test_kind_of_program(void **state) {
        static const struct {
                const char *program;
                VmmKind kind;
        } table[] = {
                { "", VMM_QEMU },
                { "/", VMM_QEMU },
                { "/opt/cloud-hypervisor/qemu", VMM_QEMU },
                { "cloud-hypervisor", VMM_CLOUD_HYPERVISOR },
                { "/usr/bin/cloud-hypervisor-static", VMM_CLOUD_HYPERVISOR },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_int_equal(vmm_kind_of_program(table[i].program), table[i].kind);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_cmdline),
                cmocka_unit_test(test_marker_names),
                cmocka_unit_test(test_scan),
                cmocka_unit_test(test_attach),
                cmocka_unit_test(test_attach_lock_memory),
                cmocka_unit_test(test_attach_nothing_to_append),
                cmocka_unit_test(test_report_port),
                cmocka_unit_test(test_cloud_hypervisor),
                cmocka_unit_test(test_kind_of_program),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
