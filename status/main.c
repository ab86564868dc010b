/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ccvm-scratch: tells a person, or a script, whether this VM has its scratch disk, and destroys its key.
 *
 * When: at any time in the guest; status and is-encrypted by anybody, also in a service's own mount
 * namespace, wipe by root. What is told is how the boot went, by one file, and what is mounted now; nothing
 * is asked of the disk. For wipe ccvm-scratch-setup has the libraries. */

#include <getopt.h>
#include <inttypes.h>
#include <sys/statvfs.h>
#include <systemd/sd-json.h>

#include "fileio.h"
#include "health.h"
#include "integritystat.h"
#include "leaks.h"
#include "log.h"
#include "mounted.h"
#include "parse.h"
#include "status.h"

#define STATUS_MAX (64 * KIB)
#define EXIT_DEGRADED 3

static const char *arg_verb = "status";
static char **arg_paths; /* NULL-terminated */
static bool arg_yes;
static enum { JSON_OFF, JSON_SHORT, JSON_PRETTY } arg_json = JSON_OFF;

/* How the boot went, and what is so now. */
typedef struct Now {
        char *text; /* of the status file */
        Status status;
        const char **missing; /* NULL-terminated: mount points that are not on the pool */
        Health health;
} Now;

static void now_done(Now *now) {
        free(now->text);
        status_done(&now->status);
        free(now->missing);
}

static void help(void) {
        puts("ccvm-scratch [OPTIONS…] [COMMAND]\n\n"
             "Shows the encrypted, throw-away disk space of this virtual machine.\n\n"
             "Commands:\n"
             "  status            Whether there is a scratch disk, and if not, why (default)\n"
             "  is-encrypted [PATH…]\n"
             "                    Whether the pool is encrypted and healthy, and all mounts, or each\n"
             "                    PATH, are on it\n"
             "  wipe              Destroy the key of the disk, and with it all data on it, now\n\n"
             "Options:\n"
             "  -h --help         Show this help\n"
             "     --version      Show the version\n"
             "     --json=FORM    status: print JSON: short (one line), pretty, or off\n"
             "     --yes          wipe: do not ask\n\n"
             "Exit status of status: 0 encrypted, or nothing asked for; 3 degraded; 1 unreadable.\n"
             "Exit status of is-encrypted: 0 yes, 3 no, for ExecCondition=.\n"
             "See ccvm-scratch(1) for details.");
}

/* Something was asked for, and nobody has set it up: not yet, or never. */
static int format_not_set_up(char **ret) {
        return status_format(&(Status) { .state = STATE_NONE,
                                         .detail =
                                                 (char *) "A pool was asked for, and is not set up: a disk "
                                                          "that is to be hot-plugged is not there yet, or "
                                                          "the boot has not come so far" },
                             ret);
}

/* The status text. Where nothing was asked for there is no file, and that is a status too. */
static int read_status(char **ret) {
        int r;

        r = file_read(STATUS_PATH, STATUS_MAX, ret);
        if (r == -ENOENT && access(ATTEMPTED_PATH, F_OK) >= 0)
                return log_error_errno(r, "The pool was set up, but its status '%s' is gone", STATUS_PATH);
        if (r == -ENOENT && access(ASKED_PATH, F_OK) >= 0)
                return format_not_set_up(ret);
        if (r == -ENOENT)
                return status_format(&(Status) { .state = STATE_OFF }, ret);
        if (r < 0)
                return log_error_errno(r, "Failed to read '%s'", STATUS_PATH);
        return 0;
}

/* Bytes of the pool that are in use; 0 if there is none. */
static uint64_t read_used(void) {
        struct statvfs v;
        dev_t pool;

        return mounted_pool(&pool) >= 0 && statvfs(POOL_DIRECTORY, &v) >= 0
                       ? (uint64_t) (v.f_blocks - v.f_bfree) * v.f_frsize
                       : 0;
}

static bool is_authenticated(const Status *s) {
        return s->state == STATE_ENCRYPTED && !streq(s->integrity ?: "no", "no");
}

/* The status as it was written, and what is so now. */
static int print_json(const Now *now) {
        _cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
        int r;

        r = sd_json_parse(now->text, 0, &v, NULL, NULL);
        if (r >= 0)
                r = sd_json_variant_set_field_strv(&v, "missing", (char **) now->missing);
        if (r >= 0)
                r = sd_json_variant_set_field_string(
                        &v, "health",
                        now->status.state == STATE_NONE ? NULL : health_to_string(now->health));
        if (r >= 0)
                r = sd_json_variant_set_field_unsigned(&v, "usedBytes", read_used());
        if (r >= 0 && is_authenticated(&now->status))
                r = sd_json_variant_set_field_unsigned(&v, "tagBytes", integrity_tag_bytes(""));
        if (r < 0)
                return r;
        return sd_json_variant_dump(v,
                                    arg_json == JSON_SHORT
                                            ? SD_JSON_FORMAT_NEWLINE
                                            : SD_JSON_FORMAT_PRETTY | SD_JSON_FORMAT_COLOR_AUTO,
                                    stdout, NULL);
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
        if (is_authenticated(s))
                print_size("Tags in RAM", integrity_tag_bytes(""));
}

static void print_timings(const Status *s) {
        const uint64_t *t = s->timings_usec;

        if (t[TIMING_TOTAL] == 0)
                return;
        printf("%13s: %.0f ms (wait %.0f, format %.0f, activate %.0f, mkfs %.0f, mount %.0f)\n", "Took",
               t[TIMING_TOTAL] / 1e3, t[TIMING_WAIT] / 1e3, t[TIMING_FORMAT] / 1e3, t[TIMING_ACTIVATE] / 1e3,
               t[TIMING_MKFS] / 1e3, t[TIMING_MOUNT] / 1e3);
}

static bool is_among(const char **list, const char *s) {
        for (; *list; list++)
                if (streq(*list, s))
                        return true;
        return false;
}

static void print_mounts(const Status *s, const char **missing) {
        for (char **m = s->mounts; m && *m; m++)
                printf("%13s: %s%s\n", m == s->mounts ? "Mounts" : "", *m,
                       is_among(missing, *m) ? " (missing: not on the pool)" : "");
}

static void print_warnings(const Status *s) {
        const char *leaks[LEAKS_MAX];
        size_t n = leaks_find("", leaks);

        for (size_t i = 0; i < n; i++)
                print_string("Warning", leaks[i]);
        if (is_authenticated(s) && integrity_is_slow(""))
                print_string("Warning",
                             "the CPU has no instructions for SHA-256, and Integrity= makes reading "
                             "and writing several times slower");
}

static void print_health(const Status *s, Health health) {
        static const char *const explanations[_HEALTH_MAX] = {
                [HEALTH_OK] = "ok",
                [HEALTH_ERRORS] =
                        "errors (degraded: reads or writes have failed; what was not fsynced may be lost)",
                [HEALTH_READ_ONLY] = "read-only (degraded: the file system has failed, and takes no writes)",
                [HEALTH_GONE] = "gone (degraded: the disk is gone, or its file system has shut down)",
        };

        if (s->state == STATE_ENCRYPTED)
                print_string("Health", explanations[health]);
}

static void print_text(const Now *now) {
        static const char *const explanations[_STATE_MAX] = {
                [STATE_OFF] = "off (no disk was asked for)",
                [STATE_ENCRYPTED] = "encrypted",
                [STATE_TMPFS] = "tmpfs (degraded: the pool is in RAM)",
                [STATE_NONE] = "none (degraded: there is no pool)",
        };
        const Status *s = &now->status;
        uint64_t used = read_used();

        print_string("State", explanations[s->state]);
        print_string("Reason", reason_to_string(s->reason));
        print_string("Detail", s->detail);
        print_health(s, now->health);
        print_string("Disk", s->device);
        print_string("Mapping", s->mapper);
        print_encryption(s);
        print_string("File system", s->fs_type);
        if (s->size_bytes)
                print_size("Size", s->size_bytes);
        if (used)
                print_size("Used", used);
        print_mounts(s, now->missing);
        print_timings(s);
        if (s->state == STATE_ENCRYPTED)
                print_warnings(s);
}

/* Returns how many mounts are missing, or an error, which is logged. now is the caller's to free in either
 * case. */
static int load_now(Now *now) {
        int r;

        r = read_status(&now->text);
        if (r < 0)
                return r;
        r = status_parse(now->text, &now->status);
        if (r < 0)
                return log_error_errno(r, "'%s' is no status", STATUS_PATH);
        now->health = health_read("", &now->status);
        r = mounted_missing(&now->status, &now->missing);
        return r < 0 ? log_oom() : r;
}

static int verb_status(void) {
        _cleanup_(now_done) Now now = {};
        int n, r = 0;

        n = load_now(&now);
        if (n < 0)
                return EXIT_FAILURE;
        if (arg_json == JSON_OFF)
                print_text(&now);
        else
                r = print_json(&now);
        if (r < 0 || fflush(stdout) != 0) {
                log_error_errno(r < 0 ? r : errno, "Failed to print the status");
                return EXIT_FAILURE;
        }
        return (now.status.state == STATE_ENCRYPTED || now.status.state == STATE_OFF) && n == 0 &&
                               now.health == HEALTH_OK
                       ? EXIT_SUCCESS
                       : EXIT_DEGRADED;
}

/* Says what is in the way. */
static bool is_on_pool(const char *path, dev_t pool) {
        int r = mounted_on(path, pool);

        if (r < 0)
                log_error_errno(r, "'%s' is not on the scratch pool", path);
        else if (r == 0)
                log_error("'%s' is not on the scratch pool.", path);
        return r > 0;
}

static int verb_is_encrypted(void) {
        _cleanup_(now_done) Now now = {};
        const Status *s = &now.status;
        bool yes = true;
        dev_t pool;

        if (load_now(&now) < 0)
                return EXIT_FAILURE;
        /* First: a file system that has shut down does not even say that it is there. */
        if (s->state == STATE_ENCRYPTED && now.health != HEALTH_OK) {
                log_error("The encrypted scratch pool is not healthy: %s.", health_to_string(now.health));
                return EXIT_DEGRADED;
        }
        if (s->state != STATE_ENCRYPTED || mounted_pool(&pool) < 0) {
                log_error("There is no encrypted scratch pool: the state is %s.", state_to_string(s->state));
                return EXIT_DEGRADED;
        }
        for (char **p = arg_paths[0] ? arg_paths : s->mounts; p && *p; p++)
                yes = is_on_pool(*p, pool) && yes;
        return yes ? EXIT_SUCCESS : EXIT_DEGRADED;
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
        arg_paths = argv + optind;
        return 1;
}

static const struct {
        const char *name;
        int (*run)(void);
        bool takes_paths;
} verbs[] = {
        { "status", verb_status, false },
        { "is-encrypted", verb_is_encrypted, true },
        { "wipe", verb_wipe, false },
};

static int run_verb(void) {
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
                if (!streq(verbs[i].name, arg_verb))
                        continue;
                if (!arg_paths[0] || verbs[i].takes_paths)
                        return verbs[i].run();
                log_error("%s takes no argument '%s'; see --help.", arg_verb, arg_paths[0]);
                return 2;
        }
        log_error("Unknown command '%s': takes status, is-encrypted or wipe; see --help.", arg_verb);
        return 2;
}

int main(int argc, char *argv[]) {
        int r;

        log_setup("ccvm-scratch");
        r = parse_argv(argc, argv);
        if (r <= 0)
                return r < 0 ? 2 : EXIT_SUCCESS;
        return run_verb();
}
