/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "qemu.h"

#include <stdarg.h>
#include <sys/utsname.h>

#include "log.h"

#define ID "ccvm-scratch" /* of the device, and its serial, by which the guest finds it; 20 bytes at most */
#define FDSET "6377"      /* and 63771: out of the way of those that people number from 0 or 1 */
#define ADDED_MAX 48U     /* words */

/* A second root bus (pxb-pcie) gets what names no bus, and takes nothing but ports. */
#define BEHIND_PORT(addr) "\"bus\":\"" ID "-bus\",\"addr\":\"" addr "\",\"disable-modern\":false,"

typedef struct Qemu {
        char *const *words;  /* the user's, from QEMU's program on */
        const char *append;  /* the kernel command line that is in force; NULL: none, or unknown */
        const char *type;    /* the machine's, up to a comma; empty: not said */
        bool q35, microvm;   /* which has neither PCI nor SMBIOS */
        unsigned slot;       /* for the disk, or for a port of its own; 0: the lowest free one */
        bool smbios, fw_cfg; /* by which systemd takes credentials without UEFI */
        bool genid;          /* the machine takes a vmgenid, and the user has none */
        bool ahead;          /* the disk may come before a device of the user's */
        char **v;            /* the command so far */
        size_t n;
        bool failed;
} Qemu;

/* Adds an option with its value. */
_printf_(3, 4) static void add(Qemu *q, const char *option, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        q->v[q->n++] = (char *) option;
        if (vasprintf(&q->v[q->n++], format, ap) < 0)
                q->failed = log_oom();
        va_end(ap);
}

/* Returns what a program's name says of the architecture: "x86_64" of "/usr/bin/qemu-system-x86_64", nothing
 * of "qemu-kvm", or NULL if it is not QEMU's. "qemu" and "kvm" are values of other programs' options,
 * too. */
static const char *architecture_of(const char *word, bool first) {
        const char *slash = strrchr(word, '/'), *name = slash ? slash + 1 : word;
        const char *architecture = startswith(name, "qemu-system-");
        size_t n = architecture ? strspn(architecture, "abcdefghijklmnopqrstuvwxyz0123456789_") : 0;

        if (n > 0 && (architecture[n] == '\0' || streq(architecture + n, "-microvm")))
                return architecture;
        return streq(name, "qemu-kvm") || (first && (streq(name, "qemu") || streq(name, "kvm"))) ? "" : NULL;
}

static bool type_is(const char *type, const char *name) {
        const char *rest = startswith(type, name);

        return rest && (*rest == '\0' || *rest == ',');
}

/* Takes what -machine says: "q35,accel=kvm", "accel=kvm,type=q35". */
static void scan_machine(Qemu *q, const char *value) {
        for (const char *word = value; word; word = strchr(word, ',') ? strchr(word, ',') + 1 : NULL) {
                const char *type = startswith(word, "type=");

                if (type || (word == value && word[strcspn(word, ",=")] != '='))
                        q->type = type ?: word;
                else if (startswith(word, "append="))
                        q->append = NULL;
        }
}

/* Finds the value of a property of "DRIVER,KEY=VALUE" or an object of JSON; NULL if there is none. */
static const char *find_property(const char *device, const char *key) {
        size_t n = strlen(key);

        for (const char *p = device; (p = strstr(p, key)); p += n)
                if (p > device && ((p[-1] == ',' && p[n] == '=') || (p[-1] == '"' && p[n] == '"')))
                        return p + n + 1 + strspn(p + n + 1, " :\"");
        return NULL;
}

/* Takes what a device says of its place. */
static void scan_device(Qemu *q, const char *device) {
        const char *address = find_property(device, "addr"), *bus = find_property(device, "bus");
        bool root = !bus || startswith(bus, "pcie.0") || startswith(bus, "pci.0");

        if (strstr(device, "vmgenid"))
                q->genid = false;
        if (!q->q35 && strstr(device, "virtio-blk") && (!root || (address && !q->slot)))
                q->ahead = true;
        if (q->slot && root && address && strtoul(address, NULL, 16) == q->slot) {
                q->ahead = true;
                q->slot = 0;
        }
}

/* Returns the value behind an option of that name, which QEMU takes with one dash or two, or NULL. */
static const char *value_of(char *const *word, const char *option) {
        return word[0][0] == '-' && streq(word[0] + 1 + (word[0][1] == '-'), option) ? word[1] : NULL;
}

/* Looks through the user's words. On q35 the disk has a port of its own, whose bus is numbered after those
 * of the user's ports, on pc the last slot: so the names of disks and interfaces stay as they are. Only the
 * user's word counts for that: programs differ in their default, and a script's is not known. */
static void scan(Qemu *q, const char *architecture) {
        struct utsname host = {};
        bool x86, default_genid = architecture;
        unsigned major, minor;
        const char *value;

        (void) uname(&host);
        if (isempty(architecture))
                architecture = host.machine;
        x86 = startswith(architecture, "x86_64") || (architecture[0] == 'i' && strstr(architecture, "86"));
        q->type = strstr(architecture, "-microvm") ? "microvm" : "";
        for (char *const *word = q->words; *word; word++)
                if ((value = value_of(word, "append")))
                        q->append = value;
                else if ((value = value_of(word, "machine")) || (value = value_of(word, "M")))
                        scan_machine(q, value);
        q->microvm = type_is(q->type, "microvm");
        q->q35 = type_is(q->type, "q35") || startswith(q->type, "pc-q35-");
        q->slot = q->q35 ? 0x1e : type_is(q->type, "pc") || startswith(q->type, "pc-") ? 0x1f : 0;
        q->smbios = x86 && !q->microvm;
        q->fw_cfg = q->microvm || startswith(architecture, "aarch64") || startswith(architecture, "arm");
        q->genid = q->slot || (x86 && default_genid && !q->type[0]);
        if (sscanf(q->type, "pc-%*[^-,]-%u.%u", &major, &minor) == 2 &&
            (major < 2 || (major == 2 && minor < 5)))
                q->genid = false; /* there was no way for one */
        for (char *const *word = q->words; *word; word++)
                if ((value = value_of(word, "device")))
                        scan_device(q, value);
                else if (value_of(word, "readconfig"))
                        q->genid = false; /* it may have one */
}

/* Adds the disk. Flushes are ignored: nothing has to survive. A full host disk is an I/O error in the guest,
 * since QEMU's own answer, to stop the VM until somebody makes room, hangs a VM that nobody watches. Locks
 * are for images that somebody else could open. SeaBIOS does not try to boot from sectors of 4096 bytes.
 * Devices are objects of JSON, which QEMU makes after all others, also those of -drive. QEMU 7.2's microvm
 * has no I/O thread. */
static void add_disk(Qemu *q, int fd) {
        char place[64] = "";

        if (q->slot)
                (void) snprintf(place, sizeof(place), "\"addr\":\"0x%x\",", q->slot);
        add(q, "-add-fd", "fd=%i,set=" FDSET, fd);
        add(q, "-blockdev",
            "{\"driver\":\"raw\",\"node-name\":\"" ID "\",\"discard\":\"unmap\","
            "\"cache\":{\"direct\":false,\"no-flush\":true},"
            "\"file\":{\"driver\":\"file\",\"filename\":\"/dev/fdset/" FDSET "\","
            "\"discard\":\"unmap\",\"cache\":{\"direct\":false,\"no-flush\":true},"
            "\"aio\":\"threads\",\"locking\":\"off\"}}");
        if (q->q35)
                add(q, "-device",
                    "{\"driver\":\"pcie-root-port\",\"id\":\"" ID "-bus\",%s\"chassis\":251,\"slot\":251,"
                    "\"hotplug\":false}",
                    place);
        if (!q->microvm)
                add(q, "-object", "iothread,id=" ID "-io");
        add(q, "-device",
            "{\"driver\":\"%s\",%s%s\"id\":\"" ID "-disk\",\"drive\":\"" ID "\",\"serial\":\"" ID "\","
            "\"logical_block_size\":4096,\"physical_block_size\":4096,"
            "\"werror\":\"report\",\"rerror\":\"report\"}",
            q->microvm ? "virtio-blk-device" : "virtio-blk",
            q->q35 ? "\"multifunction\":true," BEHIND_PORT("0.0") : place,
            q->microvm ? "" : "\"iothread\":\"" ID "-io\",");
}

/* Adds a credential, if the user has none of that name, which QEMU does not take twice. By SMBIOS where the
 * guest is sure to get its tables: systemd reads them with a module that the kernel loads at that moment.
 * fw_cfg's driver is often not in an initrd. */
static void add_credential(Qemu *q, const char *name, const char *text) {
        for (char *const *word = q->words; *word; word++)
                if (strstr(*word, "io.systemd.credential") && strstr(*word, name))
                        return;
        if (q->smbios)
                add(q, "-smbios", "type=11,value=io.systemd.credential:%s=%s", name, text);
        else
                add(q, "-fw_cfg", "name=opt/io.systemd.credentials/%s,string=%s", name, text);
}

/* Adds the marker both ways where both can be had: a kernel in a signed image takes no command line, a
 * confidential guest no credential. Before the user's words, which so win, and of which a "--" may end the
 * kernel's part. */
static void add_marker(Qemu *q, bool fail) {
        if (q->append)
                add(q, "-append", "ccvm.vm_disk=1%s %s", fail ? " ccvm.fallback=fail" : "", q->append);
        if (q->smbios || q->fw_cfg) {
                add_credential(q, "ccvm.vm-disk", "1");
                if (fail)
                        add_credential(q, "ccvm.fallback", "fail");
        } else if (!q->append) {
                log_full(fail ? LOG_ERR : LOG_WARNING, 0,
                         "Nothing tells the guest of its disk: the machine has neither SMBIOS nor fw_cfg, "
                         "and the command no -append; have VmDisk=yes%s in the image",
                         fail ? " and Fallback=fail" : "");
                q->failed = fail;
        }
}

/* Adds the port on which the guest reports, and has QEMU write that to the file. Its controller has room for
 * one port beside the console's, and so few queues to set up. */
static void add_status(Qemu *q, int fd) {
        add(q, "-add-fd", "fd=%i,set=" FDSET "1", fd);
        add(q, "-chardev", "file,id=" ID "-report,path=/dev/fdset/" FDSET "1,append=on");
        add(q, "-device", "{\"driver\":\"%s\",%s\"id\":\"" ID "-serial\",\"max_ports\":2}",
            q->microvm ? "virtio-serial-device" : "virtio-serial", q->q35 ? BEHIND_PORT("0.1") : "");
        add(q, "-device",
            "{\"driver\":\"virtserialport\",\"bus\":\"" ID "-serial.0\",\"chardev\":\"" ID "-report\","
            "\"name\":\"ccvm.status\"}");
}

char **qemu_extend(char *const *command, const QemuRequest *request) {
        const char *architecture = NULL;
        Qemu q = { .words = command };

        /* A launcher may stand before QEMU; a script, too, and no word be QEMU's then. */
        for (; command[q.n]; q.n++)
                if (!architecture && (architecture = architecture_of(command[q.n], q.n == 0)))
                        q.words = command + q.n;
        if (!architecture)
                log_warning("No word of the command is QEMU's program: '%s' has to hand all arguments "
                            "behind its own to it, or the VM has no disk",
                            command[0]);
        scan(&q, architecture);
        if (q.ahead)
                log_warning("A device has the scratch disk's slot, or may come after it: names such as "
                            "/dev/vda and enp1s0 may change (ccvm-scratch-run(1), NAMES)");
        q.v = calloc(q.n + ADDED_MAX, sizeof(char *));
        if (!q.v) {
                (void) log_oom();
                return NULL;
        }
        memcpy(q.v, command, q.n * sizeof(char *));
        add_disk(&q, request->image_fd);
        if (q.genid) /* a VM notices by it that it goes on from a snapshot */
                add(&q, "-device",
                    "{\"driver\":\"vmgenid\",\"id\":\"" ID "-generation\",\"guid\":\"auto\"}");
        add_marker(&q, request->require_encrypted);
        if (request->status_fd >= 0)
                add_status(&q, request->status_fd);
        add(&q, "-machine", "dump-guest-core=off"); /* guest RAM has the volume key in it */
        if (request->lock_memory)
                add(&q, "-overcommit", "mem-lock=on");
        return q.failed ? NULL : q.v;
}
