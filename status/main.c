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
#include <spawn.h>
#include <sys/wait.h>

#include "fileio.h"
#include "log.h"
#include "mounted.h"
#include "now.h"
#include "show.h"
#include "users.h"

enum { EXIT_USAGE = 2, EXIT_DEGRADED = 3 };

#define RENEW_SERVICE "ccvm-scratch-renew.service"

static const char *arg_verb = "status";
static char **arg_paths; /* NULL-terminated */
static bool arg_yes;
static bool arg_force;
static JsonForm arg_json = JSON_OFF;
static const char *arg_root;

static void help(void) {
        puts("ccvm-scratch [OPTIONS…] [COMMAND]\n\n"
             "Shows the encrypted, throw-away disk space of this virtual machine.\n\n"
             "Commands:\n"
             "  status            Whether there is a scratch disk, and if not, why (default)\n"
             "  is-encrypted [PATH…]\n"
             "                    Whether the pool is encrypted and healthy, and all mounts, or each\n"
             "                    PATH, are on it\n"
             "  wipe              Destroy the key of the disk, and with it all data on it, now\n"
             "  renew             Destroy the key, and mount the pool again: empty, with a new key\n"
             "  config            The options in force, where each stands, and what was refused\n\n"
             "Options:\n"
             "  -h --help         Show this help\n"
             "     --version      Show the version\n"
             "     --json=FORM    status, config: print JSON: short (one line), pretty, or off\n"
             "     --root=DIR     config: of the image in this directory, by its config files alone\n"
             "     --yes          wipe, renew: do not ask\n"
             "     --force        renew: do not ask, and go on if the pool is in use\n\n"
             "Exit status of status: 0 encrypted, or nothing asked for; 3 degraded; 1 unreadable.\n"
             "Exit status of is-encrypted: 0 yes, 3 no, for ExecCondition=.\n"
             "Exit status of config: 0 nothing refused; 1 something refused, or unreadable.\n"
             "See ccvm-scratch(1) for details.");
}

static int verb_status(void) {
        _cleanup_(now_done) Now now = {};
        int r = 0;

        if (now_load(&now) < 0)
                return EXIT_FAILURE;
        if (arg_json == JSON_OFF)
                show_text(&now);
        else
                r = show_json(&now, arg_json);
        if (r < 0 || fflush(stdout) != 0) {
                log_error_errno(r < 0 ? r : errno, "Failed to print the status");
                return EXIT_FAILURE;
        }
        return status_is_degraded(&now.status) || now.n_missing > 0 || now.health != HEALTH_OK
                       ? EXIT_DEGRADED
                       : EXIT_SUCCESS;
}

/* Says of each path of the list (NULL-terminated, or NULL) that is not on the pool that it is in the way. */
static int check_paths(char **paths, dev_t pool) {
        int r = 0;

        for (char **p = paths; p && *p; p++) {
                int on = mounted_on(*p, pool);
                if (on > 0)
                        continue;
                if (on < 0)
                        log_error_errno(on, "'%s' is not on the scratch pool", *p);
                else
                        log_error("'%s' is not on the scratch pool.", *p);
                r = -ESTALE;
        }
        return r;
}

static int verb_is_encrypted(void) {
        _cleanup_(now_done) Now now = {};
        const Status *s = &now.status;
        dev_t pool;
        int r, q;

        if (now_load(&now) < 0)
                return EXIT_FAILURE;
        pool = mounted_pool(s);
        /* First: a file system that has shut down does not even say that it is there. */
        if (s->state == STATE_ENCRYPTED && now.health != HEALTH_OK) {
                log_error("The encrypted scratch pool is not healthy: %s.", health_to_string(now.health));
                return EXIT_DEGRADED;
        }
        if (s->state != STATE_ENCRYPTED || pool == 0) {
                log_error("There is no encrypted scratch pool: the state is %s.", state_to_string(s->state));
                return EXIT_DEGRADED;
        }
        if (status_is_degraded(s)) {
                log_error("A clone of this virtual machine may have the key of the scratch pool.");
                return EXIT_DEGRADED;
        }
        if (arg_paths[0])
                return check_paths(arg_paths, pool) < 0 ? EXIT_DEGRADED : EXIT_SUCCESS;
        r = check_paths(s->mounts, pool);
        q = check_paths(now.refused_paths, pool);
        return r < 0 || q < 0 ? EXIT_DEGRADED : EXIT_SUCCESS;
}

/* Refuses to destroy the key unless root wants it, by an option or on a terminal. Returns -EINVAL if it
 * is not known. */
static int confirm(void) {
        char line[16];

        if (geteuid() != 0) {
                log_error("%s takes root: it destroys the key of the scratch disk.", arg_verb);
                return -EPERM;
        }
        if (arg_yes || arg_force)
                return 0;
        if (!isatty(STDIN_FILENO)) {
                log_error("%s destroys all data on the scratch disk: without a terminal it takes --yes.",
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

static int start(const char *unit) {
        const char *argv[] = { "systemctl", "start", "--quiet", unit, NULL };
        int wstatus, e;
        pid_t pid;

        e = posix_spawnp(&pid, argv[0], NULL, NULL, (char **) argv, environ);
        if (e != 0)
                return log_error_errno(e, "Failed to start systemctl");
        while (waitpid(pid, &wstatus, 0) < 0)
                if (errno != EINTR)
                        return log_error_errno(errno, "Failed to wait for systemctl");
        return WIFEXITED(wstatus) && WEXITSTATUS(wstatus) == 0 ? 0 : -EIO;
}

/* What the service has told the journal is told here too, as far as it is so still. */
static void explain_failure(void) {
        _cleanup_(now_done) Now now = {};

        /* It was started already, if there is anything to recover: this waits for its end. */
        (void) start("ccvm-scratch-recover.service");
        if (now_load(&now) < 0)
                return;
        if (!arg_force && users_tell(&now.status, LOG_ERR) > 0)
                log_error("With --force whoever uses the pool gets I/O errors.");
        log_error("There is no new key, and the state is %s: see 'journalctl -b -u " RENEW_SERVICE "'.",
                  state_to_string(now.status.state));
}

/* Tells the service whether to go on if the pool is in use. A renewal that was killed may have left the
 * file. */
static int write_force(void) {
        int r = 0;

        if (arg_force)
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
                log_error("There is no scratch disk to renew: none was asked for.");
                return EXIT_FAILURE;
        }
        if (write_force() < 0)
                return EXIT_FAILURE;
        r = start(RENEW_SERVICE);
        (void) unlink(FORCE_PATH);
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
        static const char *const forms[] = {
                [JSON_OFF] = "off",
                [JSON_SHORT] = "short",
                [JSON_PRETTY] = "pretty",
        };

        for (size_t i = 0; i < ELEMENTSOF(forms); i++)
                if (streq(forms[i], value)) {
                        arg_json = i;
                        return 0;
                }
        log_error("--json=%s: takes short, pretty or off.", value);
        return -EINVAL;
}

/* Returns 1 to go on, 0 when all is done, -EINVAL for a usage error. */
static int parse_argv(int argc, char *argv[]) {
        static const struct option long_options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, 'V' },
                { "json", required_argument, NULL, 'j' },
                { "yes", no_argument, NULL, 'y' },
                { "force", no_argument, NULL, 'f' },
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
                        puts("ccvm-scratch " PROJECT_VERSION);
                        return 0;
                case 'j':
                        if (parse_json_option(optarg) < 0)
                                return -EINVAL;
                        break;
                case 'y':
                        arg_yes = true;
                        break;
                case 'r':
                        arg_root = optarg;
                        break;
                case 'f':
                        arg_force = true;
                        break;
                default:
                        return -EINVAL; /* getopt has said which */
                }

        if (optind < argc)
                arg_verb = argv[optind++];
        arg_paths = argv + optind;
        return 1;
}

static const struct {
        const char *name;
        int (*run)(void);
        bool takes_paths;
} verbs[] = {
        { "status", verb_status, false }, { "is-encrypted", verb_is_encrypted, true },
        { "wipe", verb_wipe, false },     { "renew", verb_renew, false },
        { "config", verb_config, false },
};

static int run_verb(void) {
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
                if (!streq(verbs[i].name, arg_verb))
                        continue;
                if (arg_force && verbs[i].run != verb_renew) {
                        log_error("%s takes no --force; see --help.", arg_verb);
                        return EXIT_USAGE;
                }
                if (arg_root && verbs[i].run != verb_config) {
                        log_error("%s takes no --root=; see --help.", arg_verb);
                        return EXIT_USAGE;
                }
                if (!arg_paths[0] || verbs[i].takes_paths)
                        return verbs[i].run();
                log_error("%s takes no argument '%s'; see --help.", arg_verb, arg_paths[0]);
                return EXIT_USAGE;
        }
        log_error("Unknown command '%s': takes status, is-encrypted, wipe, renew or config; see --help.",
                  arg_verb);
        return EXIT_USAGE;
}

int main(int argc, char *argv[]) {
        int r;

        log_setup("ccvm-scratch");
        r = parse_argv(argc, argv);
        if (r <= 0)
                return r < 0 ? EXIT_USAGE : EXIT_SUCCESS;
        return run_verb();
}
