/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ccvm-scratch-setup: the program of the services that put up the scratch pool, look after it, and end it.
 *
 * When: see verbs.h. All is started by the units, with options from ccvm-scratch-generator, but for wipe,
 * which ccvm-scratch(1) starts.
 *
 * It must never read anything from the disk that decides what happens, never write the key anywhere, and
 * never run a second time over a live pool. */

#include <getopt.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "clock.h"
#include "escape.h"
#include "integrity.h"
#include "lock.h"
#include "log.h"
#include "parse.h"
#include "verbs.h"

#define VERBS                                                                                  \
        "encrypt, fallback, directories, mount, check, health, renew, recover, watch, close, " \
        "forget, shutdown or wipe"

static DirSpec mounts[POOL_MOUNTS_MAX];
static Options arg = {
        .serial = "ccvm-scratch",
        .root = "",
        .luks.discard = true,
        .layout.mounts = mounts,
        .disk = true,
        .mode = STATE_TMPFS,
        .size = "50%",
};

static void help(void) {
        puts("ccvm-scratch-setup [OPTIONS…] VERB\n\n"
             "Puts up the scratch pool. Started by ccvm-scratch-luks.service and the services\n"
             "beside it, with options from ccvm-scratch-generator.\n\n"
             "Verbs: encrypt, fallback, directories, mount, check, health, renew, recover, watch,\n"
             "       close, forget, shutdown, wipe\n\n"
             "  -h --help                 Show this help\n"
             "     --version              Show the version\n"
             "     --mount=PATH:MODE:UID:GID:OPTIONS\n"
             "                            A directory that the pool is to have; more than once\n"
             "     --nix-store=KIND       Also those for a /nix/store overlay: upper, or overlay if that\n"
             "                            is mounted too\n\n"
             "encrypt, renew, recover, close: the disk.\n"
             "     --serial=SERIAL        Its serial (ccvm-scratch)\n\n"
             "encrypt, renew: format the disk with a new key and mount it as the pool. Erases it.\n"
             "     --file-system=TYPE     ext4, xfs or btrfs (ext4)\n"
             "     --header=WHERE         LUKS2 header on the disk or in ram (disk)\n"
             "     --integrity=KIND       no or hmac-sha256 (no)\n"
             "     --discard=BOOL         Pass TRIM down to the disk (yes)\n"
             "     --bind                 Mount the directories too, in the running system\n\n"
             "mount: the directories, for a system that does not do it itself.\n"
             "     --root=DIRECTORY       Of that system (/)\n\n"
             "fallback, recover: what to do without it. check: what to do if a mount is missing.\n"
             "     --mode=MODE            tmpfs, none or fail (tmpfs)\n"
             "     --size=SIZE            Of the tmpfs, as in tmpfs(5) (50%)\n"
             "     --no-disk              No disk was asked for: this is no failure\n\n"
             "watch: what to do when the virtual machine goes on from a snapshot. What cannot renew\n"
             "wipes, or powers off with --mode=fail.\n"
             "     --on-clone=WHAT        warn, renew or wipe (warn)");
}

static int parse_fallback_mode(const char *value) {
        arg.mode = streq(value, "tmpfs") ? STATE_TMPFS : STATE_NONE;
        arg.mode_fail = streq(value, "fail");
        return arg.mode == STATE_TMPFS || arg.mode_fail || streq(value, "none") ? 0 : -EINVAL;
}

static int parse_header(const char *value) {
        arg.luks.header_in_ram = streq(value, "ram");
        return arg.luks.header_in_ram || streq(value, "disk") ? 0 : -EINVAL;
}

static int parse_integrity(const char *value) {
        arg.luks.integrity = streq(value, INTEGRITY_NAME);
        return arg.luks.integrity || streq(value, "no") ? 0 : -EINVAL;
}

static int parse_on_clone(const char *value) {
        static const char *const words[_ON_CLONE_MAX] = {
                [ON_CLONE_WARN] = "warn",
                [ON_CLONE_RENEW] = "renew",
                [ON_CLONE_WIPE] = "wipe",
        };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (streq(words[i], value)) {
                        arg.on_clone = i;
                        return 0;
                }
        return -EINVAL;
}

static int parse_nix_store(const char *value) {
        arg.layout.nix_store = true;
        arg.layout.nix_overlay = streq(value, "overlay");
        return arg.layout.nix_overlay || streq(value, "upper") ? 0 : -EINVAL;
}

static int parse_mount(const char *value) {
        int r;

        if (arg.layout.n_mounts == POOL_MOUNTS_MAX)
                return -E2BIG;
        r = dirspec_parse(value, &mounts[arg.layout.n_mounts]);
        if (r >= 0)
                arg.layout.n_mounts++;
        return r;
}

enum {
        ARG_VERSION = 0x100,
        ARG_SERIAL,
        ARG_FILE_SYSTEM,
        ARG_HEADER,
        ARG_INTEGRITY,
        ARG_DISCARD,
        ARG_BIND,
        ARG_MOUNT,
        ARG_NIX_STORE,
        ARG_MODE,
        ARG_SIZE,
        ARG_NO_DISK,
        ARG_ON_CLONE,
        ARG_ROOT,
};

static const struct option long_options[] = {
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, ARG_VERSION },
        { "serial", required_argument, NULL, ARG_SERIAL },
        { "file-system", required_argument, NULL, ARG_FILE_SYSTEM },
        { "header", required_argument, NULL, ARG_HEADER },
        { "integrity", required_argument, NULL, ARG_INTEGRITY },
        { "discard", required_argument, NULL, ARG_DISCARD },
        { "bind", no_argument, NULL, ARG_BIND },
        { "mount", required_argument, NULL, ARG_MOUNT },
        { "nix-store", required_argument, NULL, ARG_NIX_STORE },
        { "mode", required_argument, NULL, ARG_MODE },
        { "size", required_argument, NULL, ARG_SIZE },
        { "no-disk", no_argument, NULL, ARG_NO_DISK },
        { "on-clone", required_argument, NULL, ARG_ON_CLONE },
        { "root", required_argument, NULL, ARG_ROOT },
        {},
};

static int parse_option(int option, const char *value) {
        int r = 0;

        switch (option) {
        case ARG_SERIAL:
                arg.serial = value;
                return 0;
        case ARG_FILE_SYSTEM:
                arg.file_system = filesystem_find(value);
                return arg.file_system ? 0 : -EINVAL;
        case ARG_HEADER:
                return parse_header(value);
        case ARG_INTEGRITY:
                return parse_integrity(value);
        case ARG_DISCARD:
                r = parse_boolean(value);
                arg.luks.discard = r > 0;
                return r;
        case ARG_MOUNT:
                return parse_mount(value);
        case ARG_NIX_STORE:
                return parse_nix_store(value);
        case ARG_BIND:
                arg.bind = true;
                return 0;
        case ARG_MODE:
                return parse_fallback_mode(value);
        case ARG_SIZE:
                arg.size = value;
                return 0;
        case ARG_NO_DISK:
                arg.disk = false;
                return 0;
        case ARG_ON_CLONE:
                return parse_on_clone(value);
        case ARG_ROOT:
                arg.root = value;
                return path_is_clean(value) ? 0 : -EINVAL;
        }
        return -EINVAL;
}

/* Returns 1 to go on, 0 when all is done, -EINVAL for a usage error. */
static int parse_argv(int argc, char *argv[]) {
        int c, index, r;

        while ((c = getopt_long(argc, argv, "h", long_options, &index)) >= 0) {
                if (c == 'h') {
                        help();
                        return 0;
                }
                if (c == ARG_VERSION) {
                        puts("ccvm-scratch-setup " PROJECT_VERSION);
                        return 0;
                }
                if (c == '?')
                        return -EINVAL; /* getopt has said which */
                r = parse_option(c, optarg);
                if (r < 0)
                        return log_error_errno(r, "--%s=%s", long_options[index].name, optarg);
        }
        if (argc - optind != 1) {
                log_error("One verb is needed: " VERBS "; see --help.");
                return -EINVAL;
        }
        if (!arg.file_system)
                arg.file_system = filesystem_find("ext4");
        /* The disk has nothing but ciphertext then. */
        arg.luks.header_in_ram |= arg.luks.integrity;
        return 1;
}

/* The key passes through this process: no core file, no debugger, no look at its memory. */
static void forbid_dumps(void) {
        (void) prctl(PR_SET_DUMPABLE, 0);
        (void) setrlimit(RLIMIT_CORE, &(struct rlimit) {});
}

/* How long a verb waits for another one that works on the pool, and what if that does not end. */
typedef enum Patience {
        PATIENCE_UNLOCKED, /* changes nothing, or takes the lock itself */
        PATIENCE_SKIP,     /* comes again */
        PATIENCE_FAIL,     /* as long as a look at the health takes */
        PATIENCE_WIPE,     /* as long as a renewal takes: then the key is destroyed all the same */
        PATIENCE_CLEAR,    /* follows one that may hang in the kernel for good, and has little time */
} Patience;

/* Returns 1 to go on, 0 if there is nothing to do. */
static int take_lock(Patience patience) {
        static const uint64_t usec[] = {
                [PATIENCE_SKIP] = 0,
                [PATIENCE_FAIL] = 10 * USEC_PER_SEC,
                [PATIENCE_WIPE] = 30 * USEC_PER_SEC,
                [PATIENCE_CLEAR] = USEC_PER_SEC / 2,
        };
        int r = patience == PATIENCE_UNLOCKED ? 0 : lock_take(usec[patience]);

        if (r >= 0)
                return 1;
        if (patience == PATIENCE_SKIP)
                return 0;
        if (patience == PATIENCE_FAIL)
                return log_error_errno(r, "Another ccvm-scratch-setup works on the scratch pool, or hangs");
        log_warning_errno(r, "Another ccvm-scratch-setup works on the scratch pool, or hangs: going on");
        return 1;
}

int main(int argc, char *argv[]) {
        static const struct {
                const char *name;
                int (*run)(const Options *o);
                Patience patience;
        } verbs[] = {
                { "encrypt", verb_encrypt, PATIENCE_FAIL },
                { "fallback", verb_fallback, PATIENCE_CLEAR },
                { "directories", verb_directories, PATIENCE_CLEAR },
                { "mount", verb_mount, PATIENCE_CLEAR },
                { "check", verb_check, PATIENCE_UNLOCKED },
                { "close", verb_close, PATIENCE_CLEAR },
                { "health", verb_health, PATIENCE_SKIP },
                { "renew", verb_renew, PATIENCE_FAIL },
                { "recover", verb_recover, PATIENCE_CLEAR },
                { "watch", verb_watch, PATIENCE_UNLOCKED },
                { "wipe", verb_wipe, PATIENCE_WIPE },
                { "forget", verb_forget, PATIENCE_CLEAR },
                { "shutdown", verb_shutdown, PATIENCE_CLEAR },
        };
        int r;

        log_setup("ccvm-scratch-setup");
        forbid_dumps();
        r = parse_argv(argc, argv);
        if (r <= 0)
                return r < 0 ? 2 : EXIT_SUCCESS;

        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (streq(verbs[i].name, argv[optind])) {
                        r = take_lock(verbs[i].patience);
                        if (r > 0)
                                r = verbs[i].run(&arg);
                        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
                }
        log_error("Unknown verb '%s': takes " VERBS "; see --help.", argv[optind]);
        return 2;
}
