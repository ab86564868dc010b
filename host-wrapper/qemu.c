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

        if (type) {
                c->microvm = word + n - type == strlen("microvm") && startswith(type, "microvm");
                c->q35 = startswith(type, "q35") || startswith(type, "pc-q35-");
        }
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

/* Behind a port of ours come only disks behind ports with an address. A device is written with "KEY=" or as
 * an object of JSON. */
static void scan_device(const char *device, QemuCommand *c) {
        bool addressed = strstr(device, "addr=") || strstr(device, "\"addr\"");

        if (strstr(device, "virtio-blk") &&
            (addressed || strstr(device, "bus=") || strstr(device, "\"bus\"")))
                c->placed = true;
        if (addressed && strstr(device, "pcie-root-port"))
                c->port_placed = true;
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
        else if (streq(name, "device"))
                scan_device(value, c);
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
        if (c->placed && (!c->q35 || c->port_placed) && c->append && strstr(c->append, "root=/dev/vd"))
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
static void attach_image(Argv *args, int fd) {
        argv_add(args, "-add-fd");
        argv_addf(args, "fd=%i,set=%i", fd, QEMU_FDSET);
        argv_add(args, "-blockdev");
        argv_addf(args,
                  "{\"driver\":\"raw\",\"node-name\":\"" QEMU_NODE "\",\"discard\":\"unmap\","
                  "\"cache\":{\"direct\":false,\"no-flush\":true},"
                  "\"file\":{\"driver\":\"file\",\"filename\":\"/dev/fdset/%i\","
                  "\"discard\":\"unmap\",\"cache\":{\"direct\":false,\"no-flush\":true},"
                  "\"aio\":\"threads\",\"locking\":\"off\"}}",
                  QEMU_FDSET);
}

/* On q35 a port of their own for the disk and the guest's report: one slot for both, and behind it the disk
 * comes after the user's, also after those behind ports. A second root bus (pxb-pcie) gets whatever names no
 * bus, and so this port, too. chassis: not those that people number from 0. */
static void attach_root_port(Argv *args) {
        argv_add(args, "-device",
                 "{\"driver\":\"pcie-root-port\",\"id\":\"" QEMU_NODE "-bus\",\"chassis\":251,"
                 "\"hotplug\":false}");
}

static const char *place(const QemuCommand *c, bool disk) {
        if (!c->q35)
                return "";
        return disk ? "\"bus\":\"" QEMU_NODE "-bus\",\"addr\":\"0.0\",\"multifunction\":true,"
                    : "\"bus\":\"" QEMU_NODE "-bus\",\"addr\":\"0.1\",";
}

/* As many queues as the guest has CPUs is QEMU's own default on PCI. A thread of its own for the disk, away
 * from the main loop, is somewhat faster; QEMU 7.2's microvm cannot give it one without KVM. */
static void attach_disk(Argv *args, const QemuCommand *c, int fd) {
        attach_image(args, fd);
        if (!c->microvm)
                argv_add(args, "-object", "iothread,id=" QEMU_NODE "-io");
        argv_add(args, "-device");
        argv_addf(args,
                  "{\"driver\":\"%s\",%s\"id\":\"" QEMU_NODE "-disk\",\"drive\":\"" QEMU_NODE "\","
                  "%s\"serial\":\"" VMM_DISK_SERIAL "\",\"werror\":\"report\",\"rerror\":\"report\"}",
                  c->microvm ? "virtio-blk-device" : "virtio-blk", place(c, true),
                  c->microvm ? "" : "\"iothread\":\"" QEMU_NODE "-io\",");
}

/* A controller of its own, with room for one port beside the console's, and so with few queues to set up. */
static void attach_report_port(Argv *args, const QemuCommand *c, int fd) {
        argv_add(args, "-chardev");
        argv_addf(args, "socket,id=" QEMU_NODE "-report,fd=%i", fd);
        argv_add(args, "-device");
        argv_addf(args, "{\"driver\":\"%s\",%s\"id\":\"" QEMU_NODE "-serial\",\"max_ports\":2}",
                  c->microvm ? "virtio-serial-device" : "virtio-serial", place(c, false));
        argv_add(args, "-device",
                 "{\"driver\":\"virtserialport\",\"bus\":\"" QEMU_NODE "-serial.0\","
                 "\"chardev\":\"" QEMU_NODE "-report\",\"name\":\"" VMM_REPORT_PORT "\"}");
}

/* A monitor for the end of the VM; the guest's devices are as without. */
static void attach_monitor(Argv *args, int fd) {
        argv_add(args, "-chardev");
        argv_addf(args, "socket,id=" QEMU_NODE "-monitor,fd=%i", fd);
        argv_add(args, "-qmp", "chardev:" QEMU_NODE "-monitor");
}

/* The last -append wins, and this one has the text of the user's. */
static void append_marker(Argv *args, const QemuCommand *c, bool fail) {
        _cleanup_free_ char *cmdline = vmm_extend_cmdline(
                c->append, fail ? VMM_CMDLINE_OPTION " ccvm.fallback=fail" : VMM_CMDLINE_OPTION);

        argv_add(args, "-append");
        argv_addf(args, "%s", cmdline ?: "");
        if (!cmdline)
                args->error = -ENOMEM;
}

/* By SMBIOS where the guest is sure to get its tables: systemd reads them with a module that the kernel
 * loads at that moment. fw_cfg's driver is often not in an initrd. "Fallback=fail" goes as the text of a
 * config file, which is of two lines and so in base64. */
static void attach_credential(Argv *args, const QemuCommand *c, bool fail) {
        bool fw_cfg = c->firmware == QEMU_FW_CFG;

        if (fw_cfg)
                argv_add(args, "-fw_cfg", "name=opt/io.systemd.credentials/ccvm.vm-disk,string=1");
        else
                argv_add(args, "-smbios", "type=11,value=" VMM_CREDENTIAL);
        if (fail && fw_cfg)
                argv_add(args, "-fw_cfg",
                         "name=opt/io.systemd.credentials/ccvm.conf,string=[Scratch]\nFallback=fail\n");
        else if (fail)
                argv_add(args, "-smbios",
                         "type=11,value=io.systemd.credential.binary:ccvm.conf="
                         "W1NjcmF0Y2hdCkZhbGxiYWNrPWZhaWwK");
}

/* Both where both can be had: a kernel in a signed image takes no command line, a confidential guest no
 * credential. */
static void attach_marker(Argv *args, const QemuCommand *c, VmmMarker marker, bool fail) {
        bool automatic = marker == VMM_MARKER_AUTO, append = automatic && c->append;

        if (append || marker == VMM_MARKER_APPEND)
                append_marker(args, c, fail);
        if (marker == VMM_MARKER_CREDENTIAL || (automatic && c->firmware != QEMU_NEITHER))
                attach_credential(args, c, fail && !append);
}

void qemu_attach(Argv *args, const QemuCommand *c, const VmmRequest *request) {
        if (c->q35)
                attach_root_port(args);
        attach_disk(args, c, request->image_fd);
        attach_marker(args, c, request->marker, request->require_encrypted);
        if (request->report_fd >= 0)
                attach_report_port(args, c, request->report_fd);
        if (request->monitor_fd >= 0)
                attach_monitor(args, request->monitor_fd);
        /* Guest RAM has the volume key in it: no core dump takes it to the host's disk. */
        argv_add(args, "-machine", "dump-guest-core=off");
        if (request->lock_memory)
                argv_add(args, "-overcommit", "mem-lock=on");
}
