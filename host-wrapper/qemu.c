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

static bool ends_with(const char *s, const char *suffix) {
        size_t n = strlen(s), k = strlen(suffix);

        return n >= k && streq(s + n - k, suffix);
}

void qemu_command_done(QemuCommand *c) {
        free(c->append);
        c->append = NULL;
}

static int set_append(QemuCommand *c, const char *value, size_t n) {
        char *copy = strndup(value, n);

        if (!copy)
                return -ENOMEM;
        free(c->append);
        c->append = copy;
        return 0;
}

/* To the comma that ends a value; one that belongs to it is doubled. */
static size_t value_length(const char *s) {
        size_t n = strcspn(s, ",");

        while (s[n] == ',' && s[n + 1] == ',')
                n += 2 + strcspn(s + n + 2, ",");
        return n;
}

static void halve_commas(char *s) {
        char *out = s;

        for (; *s; s++) {
                if (s[0] == ',' && s[1] == ',')
                        s++;
                *out++ = *s;
        }
        *out = '\0';
}

/* One "KEY=VALUE" of -machine, or its first word, the type. */
static int scan_machine_word(const char *word, size_t n, bool first, QemuCommand *c) {
        const char *type = startswith(word, "type=") ?: first && !memchr(word, '=', n) ? word : NULL;
        const char *append = startswith(word, "append=");

        if (type)
                c->microvm = word + n - type == strlen("microvm") && startswith(type, "microvm");
        if (startswith(word, "kernel="))
                c->kernel = true;
        if (!append)
                return 0;
        if (set_append(c, append, word + n - append) < 0)
                return -ENOMEM;
        halve_commas(c->append);
        return 0;
}

static int scan_machine(const char *value, QemuCommand *c) {
        int r = 0;

        for (const char *p = value; r >= 0; p++) {
                size_t n = value_length(p);
                r = scan_machine_word(p, n, p == value, c);
                p += n;
                if (!*p)
                        break;
        }
        return r;
}

/* What the program's name says, or if that is silent the host. */
static QemuFirmware firmware_of(const char *program, const char *machine) {
        const char *slash = strrchr(program, '/');
        const char *architecture = startswith(slash ? slash + 1 : program, "qemu-system-") ?: machine;

        if (startswith(architecture, "x86_64") || ends_with(architecture, "86"))
                return QEMU_SMBIOS;
        return startswith(architecture, "aarch64") || startswith(architecture, "arm") ? QEMU_FW_CFG
                                                                                      : QEMU_NEITHER;
}

static bool is_placed_disk(const char *device) {
        return strstr(device, "virtio-blk") && (strstr(device, "bus=") || strstr(device, "addr="));
}

static int scan_option(const char *name, const char *value, QemuCommand *c) {
        if (streq(name, "append"))
                return set_append(c, value, strlen(value));
        if (streq(name, "machine") || streq(name, "M"))
                return scan_machine(value, c);
        if (streq(name, "kernel"))
                c->kernel = true;
        else if (streq(name, "m"))
                c->memory = value;
        else if (streq(name, "device") && is_placed_disk(value))
                c->placed = true;
        return 0;
}

int qemu_scan(char *const *command, const char *machine, QemuCommand *ret) {
        _cleanup_(qemu_command_done) QemuCommand c = {
                .firmware = firmware_of(command[0] ?: "", machine),
                .microvm = command[0] && ends_with(command[0], "-microvm"),
        };
        int r;

        for (size_t i = 0; command[i]; i++) {
                const char *name = option_name(command[i]);

                if (!name)
                        continue;
                if (streq(name, "daemonize"))
                        c.daemon = true;
                r = command[i + 1] ? scan_option(name, command[i + 1], &c) : 0;
                if (r < 0)
                        return r;
        }
        if (c.microvm)
                c.firmware = c.firmware == QEMU_SMBIOS ? QEMU_FW_CFG : c.firmware;
        *ret = c;
        c.append = NULL;
        return 0;
}

const char *qemu_warning(const QemuCommand *c, VmmMarker marker) {
        if (c->placed && c->append && strstr(c->append, "root=/dev/vd"))
                return "A virtio disk of the command has a place of its own (bus=, addr=), and the kernel "
                       "may number the disks otherwise: name the root by LABEL=, UUID= or "
                       "/dev/disk/by-id";
        if (marker == VMM_MARKER_AUTO && !c->append && c->firmware == QEMU_NEITHER)
                return "Nothing tells the guest that it has a disk, since this machine has neither SMBIOS "
                       "nor fw_cfg and the command no -append: give the guest " VMM_CMDLINE_OPTION;
        return NULL;
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

/* A monitor for the end of the VM; the guest's devices are as without. */
static int attach_monitor(Argv *command, int fd) {
        int r = argv_add(command, "-chardev");

        if (r >= 0)
                r = argv_addf(command, "socket,id=" QEMU_NODE "-monitor,fd=%i", fd);
        return r < 0 ? r : argv_add(command, "-qmp", "chardev:" QEMU_NODE "-monitor");
}

/* The last -append wins, and this one has the text of the user's. */
static int append_marker(Argv *command, const QemuCommand *c, bool fail) {
        _cleanup_free_ char *cmdline = NULL;
        int r;

        if (!c->append && !c->kernel)
                return -EINVAL;
        r = vmm_extend_cmdline(
                c->append, fail ? VMM_CMDLINE_OPTION " ccvm.fallback=fail" : VMM_CMDLINE_OPTION, &cmdline);
        return r < 0 ? r : argv_add(command, "-append", cmdline);
}

/* By SMBIOS where the guest is sure to get its tables: systemd reads them with a module that the kernel
 * loads at that moment. fw_cfg's driver is often not in an initrd. "Fallback=fail" goes as the text of a
 * config file, which is of two lines and so in base64. */
static int attach_credential(Argv *command, const QemuCommand *c, bool fail) {
        int r;

        if (c->firmware == QEMU_FW_CFG) {
                r = argv_add(command, "-fw_cfg", "name=opt/io.systemd.credentials/ccvm.vm-disk,string=1");
                if (r >= 0 && fail)
                        r = argv_add(command, "-fw_cfg",
                                     "name=opt/io.systemd.credentials/ccvm.conf,"
                                     "string=[Scratch]\nFallback=fail\n");
                return r;
        }
        r = argv_add(command, "-smbios", "type=11,value=" VMM_CREDENTIAL);
        if (r >= 0 && fail)
                r = argv_add(command, "-smbios",
                             "type=11,value=io.systemd.credential.binary:ccvm.conf="
                             "W1NjcmF0Y2hdCkZhbGxiYWNrPWZhaWwK");
        return r;
}

/* Both where both can be had: a kernel in a signed image takes no command line, a confidential guest no
 * credential. */
static int attach_marker(Argv *command, const QemuCommand *c, const VmmRequest *request) {
        bool automatic = request->marker == VMM_MARKER_AUTO, fail = request->require_encrypted;
        int r = 0;

        if (request->marker == VMM_MARKER_APPEND || (automatic && c->append))
                r = append_marker(command, c, fail);
        if (r >= 0 &&
            (request->marker == VMM_MARKER_CREDENTIAL || (automatic && c->firmware != QEMU_NEITHER)))
                r = attach_credential(command, c, fail && !(automatic && c->append));
        return r;
}

int qemu_attach(Argv *command, const QemuCommand *c, const VmmRequest *request) {
        int r;

        r = attach_disk(command, c, request);
        if (r >= 0)
                r = attach_marker(command, c, request);
        if (r >= 0 && request->report_fd >= 0)
                r = attach_report_port(command, c, request->report_fd);
        if (r >= 0 && request->monitor_fd >= 0)
                r = attach_monitor(command, request->monitor_fd);
        /* Guest RAM has the volume key in it: no core dump takes it to the host's disk. */
        if (r >= 0)
                r = argv_add(command, "-machine", "dump-guest-core=off");
        if (r >= 0 && request->lock_memory)
                r = argv_add(command, "-overcommit", "mem-lock=on");
        return r;
}
