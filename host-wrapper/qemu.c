/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "qemu.h"

/* Out of the way of the sets that people number from 0 or 1. */
#define QEMU_FDSET 6377

#define QEMU_NODE "ccvm-scratch"

/* QEMU takes its options with one dash or two. Returns the name, or NULL if arg is no option. */
static const char *option_name(const char *arg) {
        const char *name = startswith(arg, "-");

        if (!name)
                return NULL;
        return startswith(name, "-") ?: name;
}

/* The type that a -machine value names ("microvm,acpi=off", "type=q35"), as a length in *ret, or NULL if it
 * only sets properties ("accel=kvm"). */
static const char *machine_type(const char *value, size_t *ret) {
        const char *type = startswith(value, "type=") ?: value;
        size_t n = strcspn(type, ",");

        if (type == value && memchr(type, '=', n))
                return NULL;
        *ret = n;
        return type;
}

static void scan_machine(const char *value, QemuCommand *c) {
        size_t n;
        const char *type = machine_type(value, &n);

        if (type)
                c->microvm = n == strlen("microvm") && startswith(type, "microvm");
}

static bool ends_with(const char *s, const char *suffix) {
        size_t n = strlen(s), k = strlen(suffix);

        return n >= k && streq(s + n - k, suffix);
}

static bool has_architecture(const char *program, const char *const *names, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (strstr(program, names[i]))
                        return true;
        return false;
}

/* Reads what the program's name says; any word of the command may be it, behind sudo or taskset. */
static void scan_program(const char *arg, QemuCommand *c) {
        static const char *const foreign[] = {
                "-aarch64", "-arm", "-riscv", "-loongarch", "-ppc", "-s390x",
        };
        const char *slash = strrchr(arg, '/'),
                   *program = startswith(slash ? slash + 1 : arg, "qemu-system-");

        if (!program)
                return;
        program--; /* keep the dash before the architecture */
        if (ends_with(program, "-microvm"))
                c->microvm = true;
        if (has_architecture(program, foreign, ELEMENTSOF(foreign)))
                c->x86 = false;
}

void qemu_scan(char *const *command, QemuCommand *ret) {
        QemuCommand c = { .x86 = true };

        for (size_t i = 0; command[i]; i++) {
                const char *name = option_name(command[i]);

                if (!name) {
                        scan_program(command[i], &c);
                        continue;
                }
                if (streq(name, "daemonize"))
                        c.daemon = true;
                if (!command[i + 1])
                        break;
                if (streq(name, "append"))
                        c.append = ++i;
                else if (streq(name, "kernel"))
                        c.kernel = ++i;
                else if (streq(name, "m"))
                        c.memory = command[++i];
                else if (streq(name, "machine") || streq(name, "M"))
                        scan_machine(command[++i], &c);
        }
        *ret = c;
}

/* Flushes are ignored: nothing has to survive. A full host disk is an I/O error in the guest, since QEMU's
 * own answer, to stop the VM until somebody makes room, hangs a VM that nobody watches. Locks are for images
 * that somebody else could open. The host's page cache stays in between, and threads do the I/O: neither
 * O_DIRECT nor io_uring is faster (tests/bench/notes-host.md), and only a run of QEMU could tell whether it
 * has io_uring. */
static int attach_image(Argv *command, int fd) {
        int r;

        r = argv_add(command, "-add-fd");
        if (r >= 0)
                r = argv_addf(command, "fd=%i,set=%i", fd, QEMU_FDSET);
        if (r >= 0)
                r = argv_add(command, "-blockdev");
        if (r >= 0)
                r = argv_addf(command,
                              "{\"driver\":\"raw\",\"node-name\":\"" QEMU_NODE "\",\"discard\":\"unmap\","
                              "\"cache\":{\"direct\":false,\"no-flush\":true},"
                              "\"file\":{\"driver\":\"file\",\"filename\":\"/dev/fdset/%i\","
                              "\"discard\":\"unmap\",\"cache\":{\"direct\":false,\"no-flush\":true},"
                              "\"aio\":\"threads\",\"locking\":\"off\"}}",
                              QEMU_FDSET);
        return r;
}

/* As many queues as the guest has CPUs is QEMU's own default on PCI. A thread of its own for the disk, away
 * from the main loop, is somewhat faster; QEMU 7.2's microvm cannot give it one without KVM. */
static int attach_disk(Argv *command, const QemuCommand *c, const VmmRequest *request) {
        int r;

        r = attach_image(command, request->image_fd);
        if (r >= 0 && !c->microvm)
                r = argv_add(command, "-object", "iothread,id=" QEMU_NODE "-io");
        if (r >= 0)
                r = argv_add(command, "-device");
        if (r >= 0)
                r = argv_addf(command,
                              "{\"driver\":\"%s\",\"id\":\"" QEMU_NODE "-disk\",\"drive\":\"" QEMU_NODE "\","
                              "%s\"serial\":\"" VMM_DISK_SERIAL
                              "\",\"werror\":\"report\",\"rerror\":\"report\"}",
                              c->microvm ? "virtio-blk-device" : "virtio-blk",
                              c->microvm ? "" : "\"iothread\":\"" QEMU_NODE "-io\",");
        return r;
}

/* A controller of its own, with room for one port beside the console's, and so with few queues to set up. */
static int attach_report_port(Argv *command, const QemuCommand *c, int fd) {
        int r;

        r = argv_add(command, "-chardev");
        if (r >= 0)
                r = argv_addf(command, "socket,id=" QEMU_NODE "-report,fd=%i", fd);
        if (r >= 0)
                r = argv_add(command, "-device");
        if (r >= 0)
                r = argv_addf(command, "{\"driver\":\"%s\",\"id\":\"" QEMU_NODE "-serial\",\"max_ports\":2}",
                              c->microvm ? "virtio-serial-device" : "virtio-serial");
        if (r >= 0)
                r = argv_add(command, "-device",
                             "{\"driver\":\"virtserialport\",\"bus\":\"" QEMU_NODE "-serial.0\","
                             "\"chardev\":\"" QEMU_NODE "-report\",\"name\":\"" VMM_REPORT_PORT "\"}");
        return r;
}

static int append_marker(Argv *command, const QemuCommand *c) {
        _cleanup_free_ char *cmdline = NULL;
        int r;

        if (!c->append && !c->kernel)
                return -EINVAL;
        r = vmm_extend_cmdline(c->append ? command->v[c->append] : NULL, &cmdline);
        if (r < 0)
                return r;
        if (!c->append)
                return argv_add(command, "-append", cmdline);
        argv_replace(command, c->append, TAKE_PTR(cmdline));
        return 0;
}

/* By SMBIOS where the guest is sure to get its tables: systemd reads them with a module that the kernel
 * loads at that moment. fw_cfg is everywhere, but its driver is often not in an initrd. */
static int attach_credential(Argv *command, const QemuCommand *c) {
        if (c->x86 && !c->microvm)
                return argv_add(command, "-smbios",
                                "type=11,value=io.systemd.credential:" VMM_CREDENTIAL_NAME "=1");
        return argv_add(command, "-fw_cfg",
                        "name=opt/io.systemd.credentials/" VMM_CREDENTIAL_NAME ",string=1");
}

static int attach_marker(Argv *command, const QemuCommand *c, VmmMarker marker) {
        if (marker == VMM_MARKER_NONE)
                return 0;
        if (marker == VMM_MARKER_APPEND || (marker == VMM_MARKER_AUTO && c->append))
                return append_marker(command, c);
        return attach_credential(command, c);
}

int qemu_attach(Argv *command, const QemuCommand *c, const VmmRequest *request) {
        int r;

        r = attach_disk(command, c, request);
        if (r >= 0)
                r = attach_marker(command, c, request->marker);
        if (r >= 0 && request->report_fd >= 0)
                r = attach_report_port(command, c, request->report_fd);
        /* Guest RAM has the volume key in it: no core dump takes it to the host's disk. */
        if (r >= 0)
                r = argv_add(command, "-machine", "dump-guest-core=off");
        if (r >= 0 && request->lock_memory)
                r = argv_add(command, "-overcommit", "mem-lock=on");
        return r;
}
