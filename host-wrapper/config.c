/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <getopt.h>
#include <limits.h>
#include <sys/utsname.h>

#include "log.h"
#include "parse.h"

void config_done(Config *c) {
        free(TAKE_PTR(c->default_dir));
        qemu_command_done(&c->qemu);
}

static int print_help(void) {
        puts("ccvm-scratch-run [OPTIONS…] [--] VMM [ARGUMENTS…]\n"
             "Run a virtual machine with an encrypted throw-away disk.\n"
             "\n"
             "  --vm-disk-size=N     Size in GiB, or with a suffix M, G, T; 0: leave the\n"
             "                       command untouched ($CCVM_VM_DISK_SIZE; default 0)\n"
             "  --scratch-dir=DIR    Where the image lives, on a disk ($CCVM_SCRATCH_DIR;\n"
             "                       default $XDG_CACHE_HOME/ccvm or ~/.cache/ccvm)\n"
             "  --keep-image=FILE    Give the image a name and keep it\n"
             "  --vmm=KIND           qemu, cloud-hypervisor, crosvm, firecracker, vmspawn\n"
             "                       (default: by the command)\n"
             "  --marker=HOW         Tell the guest by auto, append, credential, none\n"
             "  --seed=DIR           Write the marker file DIR/vm-disk, and only that\n"
             "  --lock-memory        Keep guest RAM out of the swap ($CCVM_MLOCK=1)\n"
             "  --status-file=FILE   Write the guest's status there, when it comes\n"
             "  --require-encrypted  End the VM unless the guest says \"encrypted\"\n"
             "  --report-timeout=SEC   within so many seconds of a boot (default 300)\n"
             "  --dry-run            Print the final command and create nothing\n"
             "  --print-args         Print only the arguments to add, for an image that the\n"
             "  --image-fd=N           caller has open as descriptor N\n"
             "  -h --help            Show this help\n"
             "  --version            Show the version\n"
             "\n"
             "$CCVM_SCRATCH_ALLOW_TMPFS=1 allows a scratch directory in RAM.\n"
             "Exit status: the VMM's; 3 not encrypted; before the start 2 usage, 1 refused.");
        return 0;
}

static int print_version(void) {
        puts("ccvm-scratch " PROJECT_VERSION);
        return 0;
}

static int parse_disk_size(const char *what, const char *s, void *ret) {
        uint64_t size;
        int r;

        /* The suffix K is for nobody: no disk is that small. */
        r = strchr(s, 'K') ? -EINVAL : parse_size(s, GIB, &size);
        if (r < 0) {
                log_error(
                        "%s='%s' is not a disk size; accepted are whole numbers of GiB, such as 20, or with "
                        "a suffix, such as 512M, 20G, 1T; 0 for no disk",
                        what, s);
                return -EINVAL;
        }
        if (size > 0 && size < CONFIG_DISK_SIZE_MIN) {
                log_error("%s='%s' is too small for the guest; accepted is %lluM or more, or 0 for no disk",
                          what, s, (unsigned long long) (CONFIG_DISK_SIZE_MIN / MIB));
                return -EINVAL;
        }
        *(uint64_t *) ret = size;
        return 0;
}

/* Which of the words s is, of a list that ends with NULL. */
static int parse_word(const char *what, const char *s, const char *const *words, const char *accepted) {
        for (int i = 0; words[i]; i++)
                if (streq(s, words[i]))
                        return i;
        log_error("%s='%s' is unknown; accepted are %s", what, s, accepted);
        return -EINVAL;
}

static int parse_marker(const char *what, const char *s, void *ret) {
        static const char *const words[] = {
                [VMM_MARKER_AUTO] = "auto",
                [VMM_MARKER_APPEND] = "append",
                [VMM_MARKER_CREDENTIAL] = "credential",
                [VMM_MARKER_NONE] = "none",
                NULL,
        };
        int r = parse_word(what, s, words, "auto, append, credential, none");

        *(VmmMarker *) ret = (VmmMarker) r;
        return r;
}

static int parse_vmm(const char *what, const char *s, void *ret) {
        static const char *const words[] = {
                [VMM_QEMU] = "qemu",       [VMM_CLOUD_HYPERVISOR] = "cloud-hypervisor",
                [VMM_CROSVM] = "crosvm",   [VMM_FIRECRACKER] = "firecracker",
                [VMM_VMSPAWN] = "vmspawn", NULL,
        };
        int r = parse_word(what, s, words, "qemu, cloud-hypervisor, crosvm, firecracker, vmspawn");

        *(VmmKind *) ret = (VmmKind) r;
        return r;
}

static int parse_switch(const char *what, const char *s, void *ret) {
        int r = parse_boolean(s);

        if (r < 0) {
                log_error("%s='%s' is neither yes nor no", what, s);
                return -EINVAL;
        }
        *(bool *) ret = r;
        return 0;
}

static int parse_number(const char *what, const char *s, int least, int most, int *ret) {
        uint64_t n = 0;

        if (parse_unsigned(s, (uint64_t) most, &n) < 0 || n < (uint64_t) least) {
                log_error("%s='%s' is not a number from %i to %i", what, s, least, most);
                return -EINVAL;
        }
        *ret = (int) n;
        return 0;
}

static int parse_seconds(const char *what, const char *s, void *ret) {
        return parse_number(what, s, 1, 86400, ret);
}

static int parse_fd(const char *what, const char *s, void *ret) {
        return parse_number(what, s, STDERR_FILENO + 1, INT_MAX, ret);
}

static int parse_path(const char *what, const char *s, void *ret) {
        if (isempty(s)) {
                log_error("%s= needs a path", what);
                return -EINVAL;
        }
        *(const char **) ret = s;
        return 0;
}

/* An option, and the variable that it wins over. */
static const struct Setting {
        const char *option;
        const char *variable; /* NULL: none */
        int argument;         /* as getopt_long(3) has it; without one the value is "yes" */
        int (*parse)(const char *what, const char *s, void *ret);
        size_t offset; /* of ret in Config */
} settings[] = {
#define FIELD(f) offsetof(Config, f)
        { "--vm-disk-size", "CCVM_VM_DISK_SIZE", required_argument, parse_disk_size, FIELD(image.size) },
        { "--scratch-dir", "CCVM_SCRATCH_DIR", required_argument, parse_path, FIELD(image.dir) },
        { "--keep-image", NULL, required_argument, parse_path, FIELD(image.file) },
        { "--vmm", NULL, required_argument, parse_vmm, FIELD(vmm) },
        { "--marker", NULL, required_argument, parse_marker, FIELD(request.marker) },
        { "--seed", NULL, required_argument, parse_path, FIELD(seed) },
        { "--lock-memory", "CCVM_MLOCK", optional_argument, parse_switch, FIELD(request.lock_memory) },
        { "--status-file", NULL, required_argument, parse_path, FIELD(watch.status_file) },
        { "--require-encrypted", NULL, no_argument, parse_switch, FIELD(request.require_encrypted) },
        { "--report-timeout", NULL, required_argument, parse_seconds, FIELD(watch.timeout_sec) },
        { "--dry-run", NULL, no_argument, parse_switch, FIELD(dry_run) },
        { "--print-args", NULL, no_argument, parse_switch, FIELD(print_args) },
        { "--image-fd", NULL, required_argument, parse_fd, FIELD(request.image_fd) },
#undef FIELD
};

static int parse_setting(const struct Setting *s, const char *what, const char *value, Config *c) {
        return s->parse(what, value, (char *) c + s->offset);
}

/* An empty variable counts as unset. */
static int parse_environment(Config *c) {
        const char *allow = getenv("CCVM_SCRATCH_ALLOW_TMPFS");
        int r = 0;

        c->image.allow_ram = allow && streq(allow, "1"); /* who weakens a guarantee has to mean it */
        for (size_t i = 0; i < ELEMENTSOF(settings) && r >= 0; i++) {
                const char *variable = settings[i].variable, *value = variable ? getenv(variable) : NULL;

                if (!isempty(value))
                        r = parse_setting(&settings[i], variable, value, c);
        }
        return r;
}

/* 1, or 0 if a text has been printed instead. */
static int parse_options(int argc, char **argv, Config *c) {
        struct option options[ELEMENTSOF(settings) + 3] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, 'V' },
        };
        const int first = 0x100;
        int option, r;

        for (size_t i = 0; i < ELEMENTSOF(settings); i++)
                options[i + 2] = (struct option) { settings[i].option + strlen("--"), settings[i].argument,
                                                   NULL, first + (int) i };
        while ((option = getopt_long(argc, argv, "+h", options, NULL)) >= 0) {
                if (option == 'h')
                        return print_help();
                if (option == 'V')
                        return print_version();
                if (option < first)
                        return -EINVAL; /* getopt has said what is wrong */
                const struct Setting *s = &settings[option - first];
                r = parse_setting(s, s->option, optarg ?: "yes", c);
                if (r < 0)
                        return r;
        }
        c->command = argv + optind;
        c->watch.require_encrypted = c->request.require_encrypted;
        return 1;
}

/* The XDG base directory specification: a relative $XDG_CACHE_HOME is to be ignored. */
static int set_default_scratch_dir(Config *c) {
        const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
        int r;

        if (cache && cache[0] == '/')
                r = asprintf(&c->default_dir, "%s/ccvm", cache);
        else if (home && home[0] == '/')
                r = asprintf(&c->default_dir, "%s/.cache/ccvm", home);
        else {
                log_error("There is no default scratch directory, since neither XDG_CACHE_HOME nor HOME is "
                          "set; name one with --scratch-dir=DIR");
                return -ENOENT;
        }
        if (r < 0) {
                c->default_dir = NULL;
                return log_oom();
        }
        c->image.dir = c->default_dir;
        c->image.make_dir = true;
        return 0;
}

static int usage_error(const char *text) {
        log_error("%s", text);
        return -EINVAL;
}

/* Which options go together, in themselves. */
static int check_options(const Config *c) {
        bool encrypted = c->request.require_encrypted;

        if (!c->command[0] && !c->print_args)
                return usage_error(
                        "There is no command to run; give the VMM and its arguments behind the options");
        if (encrypted && c->image.size == 0)
                return usage_error("--require-encrypted needs a disk; give its size with --vm-disk-size=N");
        if (c->print_args != (c->request.image_fd >= 0))
                return usage_error(
                        "--print-args and --image-fd=N need each other: the caller has the image open "
                        "as descriptor N and keeps it open for the VMM");
        if (c->print_args && (c->dry_run || c->image.file || c->seed || c->watch.status_file || encrypted))
                return usage_error(
                        "--print-args starts no VMM and makes no image; it does not go with --dry-run, "
                        "--keep-image, --seed, --status-file, --require-encrypted");
        if (c->print_args && c->request.marker == VMM_MARKER_APPEND)
                return usage_error("--print-args cannot extend a command line that it does not make; use "
                                   "--marker=credential, or put " VMM_CMDLINE_OPTION
                                   " there and use --marker=none");
        return 0;
}

static int check_qemu(const Config *c) {
        if (c->request.marker == VMM_MARKER_APPEND && !c->qemu.append && !c->qemu.kernel)
                return usage_error(
                        "--marker=append has nothing to extend, since the command has neither -append "
                        "nor -kernel; use --marker=credential");
        if (c->request.require_encrypted && c->qemu.daemon)
                return usage_error(
                        "--require-encrypted could not end a VM that leaves its process; drop -daemonize");
        return 0;
}

/* What the command is for: a launcher may stand before the VMM, but one of its words has to be the VMM, or
 * somebody has to vouch for what is started. */
static int find_vmm(Config *c) {
        struct utsname host;
        size_t program = 0;
        VmmKind found = vmm_find(c->command, &program);

        if (c->vmm < 0)
                c->vmm = found >= 0 ? found : c->print_args ? VMM_QEMU : _VMM_KIND_INVALID;
        if (c->vmm < 0)
                return usage_error(
                        "No word of the command is a VMM's program, such as qemu-system-x86_64; give "
                        "--vmm=qemu if the command hands all arguments behind its own to QEMU");
        if (c->vmm != VMM_QEMU && !c->print_args)
                return usage_error(
                        "Only QEMU's command can be extended; for other VMMs --print-args says what "
                        "to add");
        if (c->vmm != VMM_QEMU)
                return 0;
        c->launched = found < 0 || program > 0;
        if (uname(&host) < 0 || qemu_scan(c->command + program, host.machine, &c->qemu) < 0)
                return log_oom();
        c->watch.quiet = c->qemu.daemon;
        return check_qemu(c);
}

/* What depends on other options and on the command. Nothing of it matters if there is no disk. */
static int finish(Config *c) {
        int r;

        r = check_options(c);
        if (r < 0 || c->image.size == 0)
                return r;
        r = find_vmm(c);
        if (r < 0 || c->image.dir || c->image.file || c->print_args)
                return r;
        return set_default_scratch_dir(c);
}

int config_parse(int argc, char **argv, Config *ret) {
        _cleanup_(config_done) Config c = {
                .vmm = _VMM_KIND_INVALID,
                .request = { -EBADF, -EBADF, -EBADF },
                .watch.timeout_sec = CONFIG_REPORT_TIMEOUT_SEC,
        };
        int r;

        r = parse_environment(&c);
        if (r >= 0)
                r = parse_options(argc, argv, &c);
        if (r <= 0)
                return r;
        r = finish(&c);
        if (r < 0)
                return r;
        *ret = TAKE_GENERIC(c, Config, (Config) {});
        return 1;
}
