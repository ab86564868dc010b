/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "options.h"

#include <getopt.h>

#include "log.h"
#include "parse.h"

#define DISK_SIZE_MIN (32 * MIB) /* what the guest refuses (device-too-small) is less */

static int print_help(void) {
        puts("Usage: ccvm-scratch-run [OPTIONS...] [--] QEMU [ARGUMENTS...]\n"
             "Run a virtual machine with an encrypted throw-away disk.\n"
             "\n"
             "  --vm-disk-size=N     Size: 20G, 20GiB, 512M, a bare 20 in GiB; 0: leave\n"
             "                       the command untouched ($CCVM_VM_DISK_SIZE; default 0)\n"
             "  --scratch-dir=DIR    Where the image lives, on a disk ($CCVM_SCRATCH_DIR;\n"
             "                       default $XDG_CACHE_HOME/ccvm or ~/.cache/ccvm)\n"
             "  --keep-image=FILE    Make the image as this new file, and keep it\n"
             "  --seed=DIR           Write the marker file DIR/vm-disk, and only that\n"
             "  --lock-memory        Keep guest RAM out of the swap ($CCVM_MLOCK=1)\n"
             "  --status-file=FILE   QEMU writes there what the guest says of its disk\n"
             "  --require-encrypted  The guest powers off if its disk is not encrypted\n"
             "  --dry-run            Print the final command, and run nothing\n"
             "  -h --help, --version Show this help, or the version\n"
             "\n"
             "$CCVM_SCRATCH_ALLOW_TMPFS=1 allows a scratch directory in RAM.\n"
             "Exit status: QEMU's; 125 refused, 126 and 127 QEMU cannot be run.\n"
             "See ccvm-scratch-run(1) for details.");
        return 0;
}

static int parse_disk_size(const char *s, void *ret) {
        uint64_t size;

        /* The suffix K is for nobody: no disk is that small. */
        if (strpbrk(s, "kK") || parse_size(s, GIB, &size) < 0 || (size > 0 && size < DISK_SIZE_MIN))
                return -EINVAL;
        *(uint64_t *) ret = size;
        return 0;
}

static int parse_switch(const char *s, void *ret) {
        int r = parse_boolean(s);

        if (r >= 0)
                *(bool *) ret = r;
        return r;
}

static int parse_path(const char *s, void *ret) {
        if (isempty(s))
                return -EINVAL;
        *(const char **) ret = s;
        return 0;
}

/* An option, the variable that it wins over, and what is wrong with a value that is not taken. */
static const struct Setting {
        const char *option;
        const char *variable; /* NULL: none */
        int argument;         /* as getopt_long(3) has it; without one the value is "yes" */
        int (*parse)(const char *s, void *ret); /* NULL: there is no such option any more */
        size_t offset;                          /* of ret in Options */
        const char *wrong;
} settings[] = {
#define AT(f) offsetof(Options, f)
        { "--vm-disk-size", "CCVM_VM_DISK_SIZE", required_argument, parse_disk_size, AT(image.size),
          "is no disk size, such as 512M, 20G, 20GiB, 1T or 20 (GiB), of 32M or more, or 0 for no disk" },
        { "--scratch-dir", "CCVM_SCRATCH_DIR", required_argument, parse_path, AT(image.dir), "is no path" },
        { "--keep-image", NULL, required_argument, parse_path, AT(image.file), "is no path" },
        { "--seed", NULL, required_argument, parse_path, AT(seed), "is no path" },
        { "--status-file", NULL, required_argument, parse_path, AT(status_file), "is no path" },
        { "--lock-memory", "CCVM_MLOCK", optional_argument, parse_switch, AT(lock_memory),
          "is neither yes nor no" },
        { "--require-encrypted", NULL, no_argument, parse_switch, AT(require_encrypted), NULL },
        { "--dry-run", NULL, no_argument, parse_switch, AT(image.dry_run), NULL },
        { "--marker", NULL, optional_argument, NULL, 0, "is gone; it goes all ways, your -append wins" },
        { "--report-timeout", NULL, optional_argument, NULL, 0, "is gone; put timeout(1) before QEMU" },
        { "--vmm", NULL, optional_argument, NULL, 0, "is gone; any command is QEMU's, or see examples/" },
        { "--print-args", NULL, optional_argument, NULL, 0, "is gone; see --dry-run, and examples/" },
        { "--image-fd", NULL, optional_argument, NULL, 0, "is gone; see --keep-image, and examples/" },
#undef AT
};

static int set(const struct Setting *s, const char *what, const char *value, Options *o) {
        int r = s->parse ? s->parse(value, (char *) o + s->offset) : -EINVAL;

        if (r < 0)
                log_error("%s='%s' %s", what, value, s->wrong);
        return r;
}

/* An empty variable counts as unset. */
static int parse_environment(Options *o) {
        const char *allow = getenv("CCVM_SCRATCH_ALLOW_TMPFS");
        int r = 0;

        o->image.allow_ram = allow && streq(allow, "1"); /* who weakens a guarantee has to mean it */
        for (const struct Setting *s = settings; s < settings + ELEMENTSOF(settings) && r >= 0; s++) {
                const char *value = s->variable ? getenv(s->variable) : NULL;
                r = isempty(value) ? 0 : set(s, s->variable, value, o);
        }
        return r;
}

/* The XDG base directory specification: a relative path is ignored. The home directory itself is never made.
 * $CACHE_DIRECTORY is a service's, and may be a list (systemd.exec(5)). */
static int set_default_dir(ImageRequest *image) {
        const char *cache = getenv("XDG_CACHE_HOME") ?: "", *home = getenv("HOME") ?: "",
                   *service = getenv("CACHE_DIRECTORY") ?: "";
        const char *other = service[0] == '/' ? service : "/var/tmp";
        char *dir = NULL;
        int r;

        image->make_dirs = cache[0] == '/' || home[0] == '/' ? 2 : 0;
        if (cache[0] == '/')
                r = asprintf(&dir, "%s/ccvm", cache);
        else if (home[0] == '/')
                r = asprintf(&dir, "%s/.cache/ccvm", home);
        else
                r = asprintf(&dir, "%.*s", (int) strcspn(other, ":"), other);
        image->dir = dir;
        return r < 0 ? log_oom() : 1;
}

/* Goes on behind an error, as the status file may come last. */
static int parse_options(int argc, char **argv, Options *o) {
        struct option table[ELEMENTSOF(settings) + 3] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, 'V' },
        };
        int option, index = 2, r = 1;
        bool hint = false;

        argv[0] = program_invocation_short_name; /* for getopt's messages */
        for (size_t i = 0; i < ELEMENTSOF(settings); i++)
                table[i + 2] = (struct option) { settings[i].option + strlen("--"), settings[i].argument,
                                                 NULL, 's' };
        while ((option = getopt_long(argc, argv, "+h", table, &index)) >= 0) {
                const struct Setting *s = &settings[index - 2];

                if (option == 'h')
                        return print_help();
                if (option == 'V')
                        return puts("ccvm-scratch-run " PROJECT_VERSION) < 0;
                hint |= option == '?'; /* getopt itself says what it does not know */
                if (option == '?' || set(s, s->option, optarg ?: "yes", o) < 0)
                        r = -EINVAL;
        }
        if (hint)
                fputs("Try 'ccvm-scratch-run --help' for more information.\n", stderr);
        o->command = argv + optind;
        return r;
}

int options_parse(int argc, char **argv, Options *ret) {
        int environment = parse_environment(ret), r = parse_options(argc, argv, ret);

        if (r <= 0 || environment < 0)
                return r <= 0 ? r : environment;
        if (!ret->command[0]) {
                log_error("There is no command to run; give QEMU and its arguments behind the options");
                return -EINVAL;
        }
        if (ret->image.size == 0 && ret->require_encrypted) {
                log_error("--require-encrypted needs a disk; give its size with --vm-disk-size=N");
                return -EINVAL;
        }
        ret->image.make_dirs = 1;
        if (ret->image.size == 0 || ret->image.dir || ret->image.file)
                return 1;
        return set_default_dir(&ret->image);
}
