/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ccvm-scratch-setup: the program of the services that put up the scratch pool, look after it, and end it.
 *
 * When: see verbs.h. All is started by the units, but for wipe, which ccvm-scratch(1) starts. What is to be
 * done it reads from /run/ccvm-scratch/config, which ccvm-scratch-generator has written.
 *
 * It must never read anything from the disk that decides what happens, never write the key anywhere, and
 * never run a second time over a live pool. */

#include <getopt.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "clock.h"
#include "escape.h"
#include "log.h"
#include "paths.h"
#include "record.h"
#include "verbs.h"

static const char *arg_root = "";
static char **arg_paths; /* NULL-terminated */

static void help(void) {
        puts("ccvm-scratch-setup [OPTIONS…] VERB\n\n"
             "Puts up the scratch pool. Started by ccvm-scratch-luks.service and the services\n"
             "beside it, with the options of ccvm-scratch.conf(5) from " CONFIG_PATH ".\n\n"
             "Verbs:\n"
             "  encrypt, renew       Format the disk with a new key and mount it as the pool. Erases it\n"
             "  fallback, recover    What Fallback= says, without the disk\n"
             "  mount [PATH…]        Mount the directories, or these, for a system that does not do it\n"
             "  directories, check, health, watch, close, forget, shutdown, wipe\n\n"
             "  -h --help            Show this help\n"
             "     --version         Show the version\n"
             "     --root=DIRECTORY  mount: of that system (/)");
}

/* Returns 1 to go on, 0 when all is done, -EINVAL for a usage error. */
static int parse_argv(int argc, char *argv[]) {
        static const struct option long_options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, 'V' },
                { "root", required_argument, NULL, 'r' },
                {},
        };
        int c;

        while ((c = getopt_long(argc, argv, "h", long_options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        help();
                        return 0;
                case 'V':
                        puts("ccvm-scratch-setup " PROJECT_VERSION);
                        return 0;
                case 'r':
                        if (!path_is_clean(optarg))
                                return log_error_errno(-EINVAL, "--root=%s", optarg);
                        arg_root = optarg;
                        break;
                default:
                        return -EINVAL; /* getopt has said which */
                }
        if (optind == argc) {
                log_error("One verb is needed; see --help.");
                return -EINVAL;
        }
        arg_paths = argv + optind + 1;
        return 1;
}

/* Leaves those mounts that are named, if any are. */
static void keep_named_mounts(Config *c) {
        size_t n = 0;

        for (size_t i = 0; i < c->n_mounts; i++) {
                bool named = !arg_paths[0];
                for (char **p = arg_paths; *p && !named; p++)
                        named = streq(*p, c->mounts[i].path);
                if (named)
                        c->mounts[n++] = c->mounts[i];
                else
                        dirspec_done(&c->mounts[i]);
        }
        c->n_mounts = n;
}

static int run_mount(const Config *c) {
        return verb_mount(c, arg_root);
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
        r = log_full(patience == PATIENCE_FAIL ? LOG_ERR : LOG_WARNING, r,
                     "Another ccvm-scratch-setup works on the scratch pool, or hangs%s",
                     patience == PATIENCE_FAIL ? "" : ": going on");
        return patience == PATIENCE_FAIL ? r : 1;
}

/* What a verb does with the options: nothing, something, or nothing without them. */
typedef enum Use { USE_NONE, USE_WANT, USE_NEED } Use;

static const struct Verb {
        const char *name;
        int (*run)(const Config *c);
        Patience patience;
        Use use;
} verbs[] = {
        { "encrypt", verb_encrypt, PATIENCE_FAIL, USE_NEED },
        { "fallback", verb_fallback, PATIENCE_CLEAR, USE_WANT },
        { "directories", verb_directories, PATIENCE_CLEAR, USE_NEED },
        { "mount", run_mount, PATIENCE_CLEAR, USE_NEED },
        { "check", verb_check, PATIENCE_UNLOCKED, USE_WANT },
        { "close", verb_close, PATIENCE_CLEAR, USE_WANT },
        { "health", verb_health, PATIENCE_SKIP, USE_NONE },
        { "renew", verb_renew, PATIENCE_FAIL, USE_NEED },
        { "recover", verb_recover, PATIENCE_CLEAR, USE_WANT },
        { "watch", verb_watch, PATIENCE_UNLOCKED, USE_NEED },
        { "wipe", verb_wipe, PATIENCE_WIPE, USE_NONE },
        { "forget", verb_forget, PATIENCE_CLEAR, USE_NONE },
        { "shutdown", verb_shutdown, PATIENCE_CLEAR, USE_NONE },
};

/* Options that cannot be read count as Fallback=fail: whoever demanded an encrypted disk gets no less. */
static int run(const struct Verb *verb) {
        _cleanup_(config_done) Config c = {};
        int r;

        if (verb->use != USE_NONE) {
                r = config_load_text(&c, CONFIG_PATH);
                if (r < 0)
                        log_full(verb->use == USE_NEED ? LOG_ERR : LOG_WARNING, r, "Failed to read '%s'",
                                 CONFIG_PATH);
                if (r < 0 && verb->use == USE_NEED)
                        return r;
                keep_named_mounts(&c);
        }
        r = take_lock(verb->patience);
        return r > 0 ? verb->run(&c) : r;
}

int main(int argc, char *argv[]) {
        int r;

        log_setup("ccvm-scratch-setup");
        forbid_dumps();
        r = parse_argv(argc, argv);
        if (r <= 0)
                return r < 0 ? 2 : EXIT_SUCCESS;
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (streq(verbs[i].name, argv[optind]) && (!arg_paths[0] || verbs[i].run == run_mount))
                        return run(&verbs[i]) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        log_error("Unknown verb '%s', or one that takes no argument; see --help.", argv[optind]);
        return 2;
}
