/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ccvm-scratch: tells a person, or a script, whether this VM has its scratch disk, and destroys its key.
 *
 * When: at any time in the guest; status by anybody, wipe by root. status reads one file and asks nothing of
 * the disk; for wipe ccvm-scratch-setup has the libraries. */

#include <getopt.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <systemd/sd-json.h>

#include "fileio.h"
#include "leaks.h"
#include "log.h"
#include "parse.h"
#include "status.h"

#define STATUS_MAX (64 * KIB)
#define EXIT_DEGRADED 3

static const char *arg_verb = "status";
static bool arg_yes;
static enum { JSON_OFF, JSON_SHORT, JSON_PRETTY } arg_json = JSON_OFF;

static void help(void) {
        puts("ccvm-scratch [OPTIONS…] [COMMAND]\n\n"
             "Shows the encrypted, throw-away disk space of this virtual machine.\n\n"
             "Commands:\n"
             "  status            Whether there is a scratch disk, and if not, why (default)\n"
             "  wipe              Destroy the key of the disk, and with it all data on it, now\n\n"
             "Options:\n"
             "  -h --help         Show this help\n"
             "     --version      Show the version\n"
             "     --json=FORM    status: print JSON: short (one line), pretty, or off\n"
             "     --yes          wipe: do not ask\n\n"
             "Exit status of status: 0 encrypted, or no disk asked for; 3 degraded; 1 unreadable.\n"
             "See ccvm-scratch(1) for details.");
}

/* The status text. Where nothing was asked for there is no file, and that is a status too. */
static int read_status(char **ret) {
        int r;

        r = file_read(STATUS_PATH, STATUS_MAX, ret);
        if (r == -ENOENT && access(ATTEMPTED_PATH, F_OK) >= 0)
                return log_error_errno(r, "The pool was set up, but its status '%s' is gone", STATUS_PATH);
        if (r == -ENOENT)
                return status_format(&(Status) { .state = STATE_OFF }, ret);
        if (r < 0)
                return log_error_errno(r, "Failed to read '%s'", STATUS_PATH);
        return 0;
}

static int print_json(const char *text) {
        _cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
        int r;

        if (arg_json == JSON_SHORT)
                return fputs(text, stdout) < 0 ? -errno : 0;
        r = sd_json_parse(text, 0, &v, NULL, NULL);
        if (r < 0)
                return r;
        return sd_json_variant_dump(v, SD_JSON_FORMAT_PRETTY | SD_JSON_FORMAT_COLOR_AUTO, stdout, NULL);
}

static void print_size(const char *label, uint64_t bytes) {
        static const char units[] = "KMGTPE";
        double n = bytes / 1024.0;
        size_t u = 0;

        for (; n >= 1024 && units[u + 1]; u++)
                n /= 1024;
        printf("%13s: %.1f%c\n", label, n, units[u]);
}

static void print_string(const char *label, const char *value) {
        if (value)
                printf("%13s: %s\n", label, value);
}

static void print_encryption(const Status *s) {
        if (!s->cipher)
                return;
        printf("%13s: %s, %" PRIu64 "-bit key, %" PRIu64 "-byte sectors, %" PRIu64 " keyslots\n", "Cipher",
               s->cipher, s->key_size, s->sector_size, s->keyslots);
        printf("%13s: LUKS2 %s, %s\n", "Header", s->uuid ?: "",
               streq(s->header ?: "", "ram") ? "in RAM" : "on the disk");
        print_string("Integrity", s->integrity);
}

static void print_timings(const Status *s) {
        const uint64_t *t = s->timings_usec;

        if (t[TIMING_TOTAL] == 0)
                return;
        printf("%13s: %.0f ms (wait %.0f, format %.0f, activate %.0f, mkfs %.0f, mount %.0f)\n", "Took",
               t[TIMING_TOTAL] / 1e3, t[TIMING_WAIT] / 1e3, t[TIMING_FORMAT] / 1e3, t[TIMING_ACTIVATE] / 1e3,
               t[TIMING_MKFS] / 1e3, t[TIMING_MOUNT] / 1e3);
}

/* Where a mount point cannot be made its unit has failed, and the boot has gone on (units.c). */
static bool is_mounted(const char *where) {
        struct stat pool, st;

        return stat(POOL_DIRECTORY, &pool) < 0 || (stat(where, &st) >= 0 && st.st_dev == pool.st_dev);
}

static void print_mounts(const Status *s) {
        for (char **m = s->mounts; m && *m; m++)
                printf("%13s: %s%s\n", m == s->mounts ? "Mounts" : "", *m,
                       is_mounted(*m) ? "" : " (not mounted)");
}

static void print_leaks(void) {
        const char *leaks[LEAKS_MAX];
        size_t n = leaks_find("", leaks);

        for (size_t i = 0; i < n; i++)
                print_string("Warning", leaks[i]);
}

static void print_text(const Status *s) {
        static const char *const explanations[_STATE_MAX] = {
                [STATE_OFF] = "off (no disk was asked for)",
                [STATE_ENCRYPTED] = "encrypted",
                [STATE_TMPFS] = "tmpfs (degraded: the pool is in RAM)",
                [STATE_NONE] = "none (degraded: there is no pool)",
        };

        print_string("State", explanations[s->state]);
        print_string("Reason", reason_to_string(s->reason));
        print_string("Detail", s->detail);
        print_string("Disk", s->device);
        print_string("Mapping", s->mapper);
        print_encryption(s);
        print_string("File system", s->fs_type);
        if (s->size_bytes)
                print_size("Size", s->size_bytes);
        print_mounts(s);
        print_timings(s);
        if (s->state == STATE_ENCRYPTED)
                print_leaks();
}

static int verb_status(void) {
        _cleanup_(status_done) Status s = {};
        _cleanup_free_ char *text = NULL;
        int r;

        r = read_status(&text);
        if (r < 0)
                return EXIT_FAILURE;
        r = status_parse(text, &s);
        if (r < 0) {
                log_error_errno(r, "'%s' is no status", STATUS_PATH);
                return EXIT_FAILURE;
        }

        if (arg_json == JSON_OFF)
                print_text(&s);
        else {
                r = print_json(text);
                if (r < 0) {
                        log_error_errno(r, "Failed to print the status");
                        return EXIT_FAILURE;
                }
        }
        if (fflush(stdout) != 0) {
                log_error_errno(errno, "Failed to print the status");
                return EXIT_FAILURE;
        }
        return s.state == STATE_ENCRYPTED || s.state == STATE_OFF ? EXIT_SUCCESS : EXIT_DEGRADED;
}

/* Returns 1 for a yes. */
static int ask(void) {
        char line[16];

        if (!isatty(STDIN_FILENO)) {
                log_error("wipe destroys all data on the scratch disk: without a terminal it takes --yes.");
                return -EINVAL;
        }
        fputs("Destroy the key of the scratch disk, and with it all data on it, now? [y/N] ", stderr);
        return fgets(line, sizeof(line), stdin) && strcspn(line, "yY") == 0;
}

static int verb_wipe(void) {
        int r;

        if (geteuid() != 0) {
                log_error("wipe takes root: it destroys the key of the scratch disk.");
                return EXIT_FAILURE;
        }
        if (!arg_yes) {
                r = ask();
                if (r <= 0)
                        return r < 0 ? 2 : EXIT_FAILURE;
        }
        execl(PROGRAM_DIR "/ccvm-scratch-setup", "ccvm-scratch-setup", "wipe", NULL);
        log_error_errno(errno, "Failed to start '%s'", PROGRAM_DIR "/ccvm-scratch-setup");
        return EXIT_FAILURE;
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
                default:
                        return -EINVAL; /* getopt has said which */
                }

        if (optind < argc)
                arg_verb = argv[optind++];
        if (optind < argc || (!streq(arg_verb, "status") && !streq(arg_verb, "wipe"))) {
                log_error("Unknown command '%s': takes status or wipe; see --help.", argv[argc - 1]);
                return -EINVAL;
        }
        return 1;
}

int main(int argc, char *argv[]) {
        int r;

        log_setup("ccvm-scratch");
        r = parse_argv(argc, argv);
        if (r <= 0)
                return r < 0 ? 2 : EXIT_SUCCESS;
        return streq(arg_verb, "wipe") ? verb_wipe() : verb_status();
}
