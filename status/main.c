/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ccvm-scratch: tells a person, or a script, whether this VM has its scratch disk, and destroys its key or
 * changes it.
 *
 * When: at any time in the guest; status and is-encrypted by anybody, also in a service's own mount
 * namespace, wipe and renew by root. What is told is how the boot went, by one file, and what is mounted
 * now; nothing is asked of the disk. For wipe and renew ccvm-scratch-setup has the libraries.
 *
 * The verbs return the exit status; all other functions 0 or -errno, and they log their errors. */

#include <getopt.h>
#include <limits.h>
#include <stdarg.h>

#include "fileio.h"
#include "log.h"
#include "mounted.h"
#include "now.h"
#include "show.h"
#include "systemctl.h"
#include "users.h"

#define EXIT_USAGE 2
#define EXIT_DEGRADED 3

#define RENEW_SERVICE "ccvm-scratch-renew.service"

static const char *arg_verb = "status";
static char **arg_paths; /* NULL-terminated */
static JsonForm arg_json = JSON_OFF;
static const char *arg_root;
static bool arg_given[UCHAR_MAX]; /* by the letters of the options */

static const struct option long_options[] = {
        { "help", no_argument, NULL, 'h' },       { "version", no_argument, NULL, 'V' },
        { "quiet", no_argument, NULL, 'q' },      { "json", required_argument, NULL, 'j' },
        { "root", required_argument, NULL, 'r' }, { "yes", no_argument, NULL, 'y' },
        { "force", no_argument, NULL, 'f' },      {},
};

static int verb_help(void) {
        puts("Usage: ccvm-scratch [OPTIONS...] [COMMAND]\n\n"
             "Show the encrypted, throw-away disk space of this virtual machine.\n\n"
             "Commands:\n"
             "  status            Show whether there is a scratch disk, and if not, why (default)\n"
             "  is-encrypted [PATH...]\n"
             "                    Check that the pool is encrypted and healthy, and that all mounts,\n"
             "                    or each PATH, are on it\n"
             "  wipe              Destroy the key of the disk, and with it all data on it, now\n"
             "  renew             Destroy the key, and mount the pool again: empty, with a new key\n"
             "  config            Show the options in force, their sources, and what was refused\n"
             "  help              Show this help\n\n"
             "Options:\n"
             "  -h --help         Show this help\n"
             "     --version      Show the version\n"
             "  -q --quiet        status, is-encrypted: print nothing; the exit status tells\n"
             "     --json=FORM    status, config: print JSON: short (one line), pretty, or off\n"
             "  -j                --json=pretty on a terminal, else --json=short\n"
             "     --root=DIR     config: read the config files of the image in this directory\n"
             "     --yes          wipe, renew: do not ask\n"
             "     --force        renew: do not ask, and continue if the pool is in use\n\n"
             "Exit status of status: 0 encrypted, or nothing asked for; 3 degraded; 1 unreadable.\n"
             "Exit status of is-encrypted: 0 yes, 3 no, for ExecCondition=.\n"
             "Exit status of config: 0 nothing refused; 1 something refused, or unreadable.\n"
             "See ccvm-scratch(1) for details.");
        return EXIT_SUCCESS;
}

static int verb_status(void) {
        _cleanup_(now_done) Now now = {};
        int r = 0;

        if (now_load(&now) < 0)
                return EXIT_FAILURE;
        if (!arg_given['q'] && arg_json == JSON_OFF)
                show_text(&now);
        else if (!arg_given['q'])
                r = show_json(&now, arg_json);
        if (r < 0 || fflush(stdout) != 0) {
                log_error_errno(r < 0 ? r : errno, "Failed to print the status");
                return EXIT_FAILURE;
        }
        return status_is_degraded(&now.status) || now.n_missing > 0 || now.health != HEALTH_OK
                       ? EXIT_DEGRADED
                       : EXIT_SUCCESS;
}

/* Prints why is-encrypted is not so, unless --quiet is there. It is an answer, and no error. */
static _printf_(1, 2) int deny(const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        if (!arg_given['q'])
                vprintf(format, ap);
        va_end(ap);
        return EXIT_DEGRADED;
}

/* Denies each path of the list (NULL-terminated) that is not on the pool. */
static int check_paths(char **paths, dev_t pool) {
        int result = EXIT_SUCCESS;

        for (char **p = paths; p && *p; p++) {
                int on = mounted_on(*p, pool);
                _cleanup_free_ char *name = refusals_escape(*p);
                if (on <= 0)
                        result = deny("'%s' is not on the scratch pool%s%s\n", name, on < 0 ? ": " : "",
                                      on < 0 ? strerror(-on) : "");
        }
        return result;
}

static int verb_is_encrypted(void) {
        _cleanup_(now_done) Now now = {};
        const Status *s = &now.status;
        dev_t pool;

        if (now_load(&now) < 0)
                return EXIT_FAILURE;
        pool = mounted_pool(s);
        /* First: a file system that has shut down does not even say that it is there. */
        if (s->state == STATE_ENCRYPTED && now.health != HEALTH_OK)
                return deny("The encrypted scratch pool is not healthy: %s\n", health_to_string(now.health));
        if (s->state != STATE_ENCRYPTED || pool == 0)
                return deny("There is no encrypted scratch pool: the state is %s\n",
                            state_to_string(s->state));
        if (status_is_degraded(s))
                return deny("A clone of this virtual machine may have the key of the scratch pool\n");
        if (arg_paths[0])
                return check_paths(arg_paths, pool);
        return check_paths(s->mounts, pool) | check_paths(now.refused_paths, pool);
}

/* Refuses to destroy the key unless root wants it, by an option or on a terminal. Returns -EINVAL if it
 * is not known. */
static int confirm(void) {
        char line[16];

        if (geteuid() != 0) {
                log_error("%s must be run as root: it destroys the key of the scratch disk", arg_verb);
                return -EPERM;
        }
        if (arg_given['y'] || arg_given['f'])
                return 0;
        if (!isatty(STDIN_FILENO)) {
                log_error("%s destroys all data on the scratch disk; without a terminal give --yes",
                          arg_verb);
                return -EINVAL;
        }
        fputs("Destroy the key of the scratch disk, and with it all data on it, now? [y/N] ", stderr);
        return fgets(line, sizeof(line), stdin) && strcspn(line, "yY") == 0 ? 0 : -ECANCELED;
}

static int verb_wipe(void) {
        int r = confirm();

        if (r < 0)
                return r == -EINVAL ? EXIT_USAGE : EXIT_FAILURE;
        execl(PROGRAM_DIR "/ccvm-scratch-setup", "ccvm-scratch-setup", "wipe", NULL);
        log_error_errno(errno, "Failed to start '%s'", PROGRAM_DIR "/ccvm-scratch-setup");
        return EXIT_FAILURE;
}

/* What the service has told the journal is told here too, as far as it is so still. */
static void explain_failure(void) {
        _cleanup_(now_done) Now now = {};

        /* It was started already, if there is anything to recover: this waits for its end. */
        (void) systemctl_run("start", "ccvm-scratch-recover.service");
        if (now_load(&now) < 0)
                return;
        if (!arg_given['f'] && users_tell(&now.status, LOG_ERR) > 0)
                log_error("With --force these users of the pool get I/O errors");
        log_error("There is no new key, and the state is %s: see 'journalctl -b -u " RENEW_SERVICE "'",
                  state_to_string(now.status.state));
}

/* Tells the service whether to go on if the pool is in use. A renewal that was killed may have left the
 * file. */
static int write_force(void) {
        int r = 0;

        if (arg_given['f'])
                r = file_write_atomic(FORCE_PATH, "", 0600);
        else if (unlink(FORCE_PATH) < 0 && errno != ENOENT)
                r = -errno;
        return r < 0 ? log_error_errno(r, "Failed to write '%s'", FORCE_PATH) : 0;
}

static int verb_renew(void) {
        _cleanup_(now_done) Now now = {};
        int r;

        r = confirm();
        if (r < 0)
                return r == -EINVAL ? EXIT_USAGE : EXIT_FAILURE;
        if (now_load(&now) < 0)
                return EXIT_FAILURE;
        /* The service is skipped then, which is no failure. */
        if (now.status.state == STATE_OFF) {
                log_error("There is no scratch disk to renew: none was asked for");
                return EXIT_FAILURE;
        }
        /* A renewal that had begun before is joined, and has not seen the file: then once more. */
        for (int i = 0; i < 2; i++) {
                if (write_force() < 0)
                        return EXIT_FAILURE;
                r = systemctl_run("start", RENEW_SERVICE);
                if (unlink(FORCE_PATH) < 0 || !arg_given['f'])
                        break;
        }
        if (r < 0)
                explain_failure();
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int verb_config(void) {
        int r = show_config(arg_root, arg_json);

        if (r >= 0 && fflush(stdout) != 0)
                r = log_error_errno(errno, "Failed to print the options");
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int parse_json_option(const char *value) {
        static const char *const forms[] = { "off", "short", "pretty" }; /* as JsonForm has them */

        for (size_t i = 0; i < ELEMENTSOF(forms); i++)
                if (streq(forms[i], value)) {
                        arg_json = i;
                        return 0;
                }
        log_error("--json=%s: takes short, pretty or off", value);
        return -EINVAL;
}

/* Returns 1 to go on, 0 when all is done, -EINVAL for a usage error. */
static int parse_argv(int argc, char *argv[]) {
        int c;

        argv[0] = program_invocation_short_name; /* for getopt's messages */
        while ((c = getopt_long(argc, argv, "hjq", long_options, NULL)) >= 0) {
                arg_given[c] = true;
                if (c == 'h')
                        return verb_help();
                if (c == 'V')
                        return puts("ccvm-scratch " PROJECT_VERSION) < 0;
                if (c == 'j' && parse_json_option(optarg ?: isatty(STDOUT_FILENO) ? "pretty" : "short") < 0)
                        return -EINVAL;
                if (c == 'r')
                        arg_root = optarg;
                if (c == '?')
                        return -EINVAL; /* getopt has said which */
        }
        if (optind < argc)
                arg_verb = argv[optind++];
        arg_paths = argv + optind;
        return 1;
}

static const struct Verb {
        const char *name;
        int (*run)(void);
        const char *options; /* that it takes, by their letters */
        bool takes_paths;
} verbs[] = {
        { "status", verb_status, "jq", false }, { "is-encrypted", verb_is_encrypted, "q", true },
        { "wipe", verb_wipe, "y", false },      { "renew", verb_renew, "yf", false },
        { "config", verb_config, "jr", false }, { "help", verb_help, "", false },
};

/* Finds the verb that was given. NULL, logged, if there is none, or if it does not take the rest. */
static const struct Verb *find_verb(void) {
        const struct Verb *v = verbs, *end = verbs + ELEMENTSOF(verbs);

        while (v < end && !streq(v->name, arg_verb))
                v++;
        if (v == end) {
                log_error("There is no command '%s'", arg_verb);
                return NULL;
        }
        for (const struct option *o = long_options; o->name; o++)
                if (arg_given[o->val] && !strchr(v->options, o->val)) {
                        log_error("%s takes no --%s", arg_verb, o->name);
                        return NULL;
                }
        if (!arg_paths[0] || v->takes_paths)
                return v;
        log_error("%s takes no argument '%s'", arg_verb, arg_paths[0]);
        return NULL;
}

int main(int argc, char *argv[]) {
        const struct Verb *verb;
        int r;

        log_setup("ccvm-scratch");
        r = parse_argv(argc, argv);
        if (r == 0)
                return EXIT_SUCCESS;
        verb = r > 0 ? find_verb() : NULL;
        if (verb)
                return verb->run();
        fputs("Try 'ccvm-scratch --help' for more information.\n", stderr);
        return EXIT_USAGE;
}
