/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ccvm-scratch-setup: the program of the two services that put up the scratch pool.
 *
 * When: in the initrd, after the disk has appeared and before initrd-fs.target; in the real root before
 * local-fs.target where there is no initrd. The journal and udev run, / of the real system is mounted or on
 * its way, and nothing of the pool is there.
 *
 *   encrypt   ccvm-scratch-luks.service: a new key, LUKS2, file system, pool. After it, the
 *             pool is mounted on /run/ccvm-scratch/pool and the key is in the kernel and nowhere else; or
 *             nothing of it is left.
 *   fallback  ccvm-scratch-tmpfs.service: when that has failed. A pool in RAM, or none, as was asked for.
 *   directories  ccvm-scratch-directories.service, in the real root: those that the initrd did not know of.
 *   check     ccvm-scratch-check.service, in the real root when all is mounted: whether the pool is what
 *             programs get there.
 *   health    ccvm-scratch-health.service, by its timer: whether the disk still works, and what was freed is
 *             given back to the host.
 *   wipe      ccvm-scratch wipe, in the running system: destroys the key now.
 *   close     after a failure of "encrypt" that it could not clean up itself, as when it was killed.
 *   forget    ccvm-scratch-soft-reboot.service: when all is unmounted for a soft-reboot, which keeps the
 *             kernel and /run. The mapping goes with its key; the next userspace sets up its own pool. What
 *             is still in use, as by an overlay that stays mounted, it gets as it is.
 *   shutdown  ccvm-scratch-shutdown.service, at every other end, when the services have stopped and all but
 *             the pool itself is unmounted: what is not written yet never is.
 *
 * It must never read anything from the disk that decides what happens, never write the key anywhere, and
 * never run a second time over a live pool. */

#include <fcntl.h>
#include <getopt.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include "attempt.h"
#include "clock.h"
#include "device.h"
#include "fileio.h"
#include "filesystem.h"
#include "health.h"
#include "integrity.h"
#include "log.h"
#include "luks.h"
#include "mounted.h"
#include "outcome.h"
#include "parse.h"
#include "pool.h"
#include "unplug.h"
#include "wipe.h"

#define MOUNTS_MAX 32
#define VERBS "encrypt, fallback, directories, check, health, close, forget, shutdown or wipe"

static const char *arg_serial = "ccvm-scratch";
static const FileSystem *arg_file_system;
static LuksOptions arg_luks = { .discard = true };
static DirSpec arg_mounts[MOUNTS_MAX];
static PoolLayout arg_layout = { .mounts = arg_mounts };
static State arg_mode = STATE_TMPFS;
static bool arg_mode_fail;
static bool arg_bind;
static bool arg_disk = true;
static const char *arg_size = "50%";

static void help(void) {
        puts("ccvm-scratch-setup [OPTIONS…] VERB\n\n"
             "Puts up the scratch pool. Started by ccvm-scratch-luks.service and the services\n"
             "beside it, with options from ccvm-scratch-generator.\n\n"
             "Verbs: encrypt, fallback, directories, check, health, close, forget, shutdown, wipe\n\n"
             "  -h --help                 Show this help\n"
             "     --version              Show the version\n"
             "     --mount=PATH:MODE:UID:GID:OPTIONS\n"
             "                            A directory that the pool is to have; more than once\n"
             "     --nix-store=KIND       Also those for a /nix/store overlay: upper, or overlay if that\n"
             "                            is mounted too\n\n"
             "encrypt, close: the disk.\n"
             "     --serial=SERIAL        Its serial (ccvm-scratch)\n\n"
             "encrypt: format the disk with a new key and mount it as the pool. Erases the disk.\n"
             "     --file-system=TYPE     ext4, xfs or btrfs (ext4)\n"
             "     --header=WHERE         LUKS2 header on the disk or in ram (disk)\n"
             "     --integrity=KIND       no or hmac-sha256 (no)\n"
             "     --discard=BOOL         Pass TRIM down to the disk (yes)\n"
             "     --bind                 Mount the directories too, in the running system\n\n"
             "fallback: what to do without it. check: what to do if a mount is missing.\n"
             "     --mode=MODE            tmpfs, none or fail (tmpfs)\n"
             "     --size=SIZE            Of the tmpfs, as in tmpfs(5) (50%)\n"
             "     --no-disk              No disk was asked for: this is no failure");
}

static int parse_fallback_mode(const char *value) {
        arg_mode = streq(value, "tmpfs") ? STATE_TMPFS : STATE_NONE;
        arg_mode_fail = streq(value, "fail");
        return arg_mode == STATE_TMPFS || arg_mode_fail || streq(value, "none") ? 0 : -EINVAL;
}

static int parse_header(const char *value) {
        arg_luks.header_in_ram = streq(value, "ram");
        return arg_luks.header_in_ram || streq(value, "disk") ? 0 : -EINVAL;
}

static int parse_integrity(const char *value) {
        arg_luks.integrity = streq(value, INTEGRITY_NAME);
        return arg_luks.integrity || streq(value, "no") ? 0 : -EINVAL;
}

static int parse_nix_store(const char *value) {
        arg_layout.nix_store = true;
        arg_layout.nix_overlay = streq(value, "overlay");
        return arg_layout.nix_overlay || streq(value, "upper") ? 0 : -EINVAL;
}

static int parse_mount(const char *value) {
        int r;

        if (arg_layout.n_mounts == MOUNTS_MAX)
                return -E2BIG;
        r = dirspec_parse(value, &arg_mounts[arg_layout.n_mounts]);
        if (r >= 0)
                arg_layout.n_mounts++;
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
        {},
};

static int parse_option(int option, const char *value) {
        int r = 0;

        switch (option) {
        case ARG_SERIAL:
                arg_serial = value;
                return 0;
        case ARG_FILE_SYSTEM:
                arg_file_system = filesystem_find(value);
                return arg_file_system ? 0 : -EINVAL;
        case ARG_HEADER:
                return parse_header(value);
        case ARG_INTEGRITY:
                return parse_integrity(value);
        case ARG_DISCARD:
                r = parse_boolean(value);
                arg_luks.discard = r > 0;
                return r;
        case ARG_MOUNT:
                return parse_mount(value);
        case ARG_NIX_STORE:
                return parse_nix_store(value);
        case ARG_BIND:
                arg_bind = true;
                return 0;
        case ARG_MODE:
                return parse_fallback_mode(value);
        case ARG_SIZE:
                arg_size = value;
                return 0;
        case ARG_NO_DISK:
                arg_disk = false;
                return 0;
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
        return 1;
}

/* From the disk to the mounted pool. A failure is noted in s and leaves nothing behind. */
static int set_up(Status *s) {
        _cleanup_(device_done) Device device = {};
        Stopwatch watch = stopwatch_start();
        int r;

        /* The disk has nothing but ciphertext then. */
        arg_luks.header_in_ram |= arg_luks.integrity;
        r = device_find(arg_serial, filesystem_size_min(arg_file_system) + LUKS_OVERHEAD, s, &device);
        s->timings_usec[TIMING_WAIT] = stopwatch_lap(&watch);
        if (r >= 0) {
                device_limit_queue(&device);
                r = luks_open(&device, &arg_luks, s);
        }
        if (r < 0)
                return r;

        (void) stopwatch_lap(&watch);
        r = filesystem_make(arg_file_system, LUKS_NODE, s);
        s->timings_usec[TIMING_MKFS] = stopwatch_lap(&watch);
        if (r >= 0)
                r = pool_mount_disk(arg_file_system, LUKS_NODE, arg_luks.discard, &arg_layout, s);
        s->timings_usec[TIMING_MOUNT] = stopwatch_lap(&watch);
        if (r < 0)
                (void) luks_close(device.number);
        return r;
}

/* A disk that is hot-plugged comes when all else is mounted. A mount point that cannot be used costs itself,
 * and is told of. */
static int mount_directories(const Status *s) {
        if (!arg_bind)
                return 0;
        for (size_t i = 0; i < arg_layout.n_mounts; i++)
                (void) pool_bind(&arg_layout.mounts[i]);
        return outcome_check_mounts(s);
}

static int verb_encrypt(void) {
        _cleanup_(status_done) Status s = { .state = STATE_NONE };
        Stopwatch watch = stopwatch_start();
        int r;

        if (!arg_file_system)
                arg_file_system = filesystem_find("ext4");
        r = attempt_claim();
        if (r == -EEXIST)
                return log_error_errno(r,
                                       "The pool was set up in this boot already; refusing to do it again");
        if (r >= 0)
                r = set_up(&s);
        else
                (void) status_fail(&s, REASON_INTERNAL, r, "Failed to mark the attempt");
        s.timings_usec[TIMING_TOTAL] = stopwatch_lap(&watch);

        if (r < 0) {
                log_error("%s: %s", reason_to_string(s.reason), s.detail ?: "out of memory");
                (void) outcome_write(&s);
                return r;
        }
        s.state = STATE_ENCRYPTED;
        /* The pool is good without its status; a second one in RAM over it would not be. */
        (void) outcome_announce(&s);
        (void) mount_directories(&s);
        return 0;
}

/* Fallback=fail: the journal dies with the VM, so that the console is where the reason can be read. */
static void tell_console(const char *reason, const char *detail) {
        _cleanup_close_ int fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

        log_error("Powering off, as Fallback=fail says.");
        if (fd >= 0)
                dprintf(fd,
                        "\r\nccvm-scratch: no encrypted scratch disk (%s): %s; "
                        "powering off, as Fallback=fail says\r\n",
                        reason ?: "no reason", detail ?: "no detail");
}

/* If there is no RAM for it either, the reason stays why the disk failed, and the detail tells both. */
static int fall_back_to_ram(Status *s) {
        _cleanup_free_ char *disk = s->detail ? strdup(s->detail) : NULL;
        Reason reason = s->reason;
        int r;

        r = pool_mount_tmpfs(arg_size, &arg_layout, s);
        if (r >= 0)
                return 0;
        log_error("%s", s->detail ?: "out of memory");
        s->state = STATE_NONE;
        if (reason != REASON_NONE)
                (void) status_fail(s, reason, 0, "%s; and in its place: %s", disk ?: "no detail",
                                   s->detail ?: "no detail");
        return r;
}

static int verb_fallback(void) {
        _cleanup_(status_done) Status s = { .state = arg_disk ? arg_mode : STATE_OFF };
        int r;

        if (arg_disk)
                outcome_explain_failure(&s);

        /* Sticky: a disk that comes later is left alone. After a failure the marker is there already. */
        r = attempt_claim();
        if (r < 0 && r != -EEXIST)
                (void) log_warning_errno(r, "Failed to mark the attempt");

        r = arg_mode == STATE_TMPFS ? fall_back_to_ram(&s) : 0;
        (void) outcome_announce(&s);
        if (arg_mode_fail) {
                tell_console(reason_to_string(s.reason), s.detail);
                return -ECANCELED; /* FailureAction= of the unit powers off */
        }
        return r;
}

/* For those who have nothing to do without one. */
static int read_status(Status *ret) {
        int r = outcome_read(ret);

        return r < 0 ? log_error_errno(r, "Failed to read '%s'", STATUS_PATH) : 0;
}

static int verb_directories(void) {
        _cleanup_(status_done) Status s = {};
        int r;

        r = read_status(&s);
        if (r < 0)
                return r;
        r = pool_extend(&arg_layout, &s);
        if (r < 0)
                return log_error_errno(r, "%s", s.detail ?: "Out of memory");
        return outcome_write(&s);
}

static int verb_check(void) {
        _cleanup_(status_done) Status s = {};
        int r;

        r = read_status(&s);
        if (r < 0)
                return r;
        r = outcome_check_mounts(&s);
        if (r < 0 && arg_mode_fail)
                tell_console("mounts missing", "the journal names them");
        return r; /* with Fallback=fail the unit has FailureAction= */
}

/* ExecStopPost= of the encrypted disk's service. An ordinary stop, as at shutdown, leaves the pool to
 * whoever still uses it. */
static int verb_close(void) {
        const char *result = getenv("SERVICE_RESULT");
        dev_t disk = 0;
        int r;

        if (result && streq(result, "success"))
                return 0;
        pool_detach();
        (void) device_find_number(arg_serial, &disk);
        r = luks_close(disk);
        return r < 0 ? log_error_errno(r, "Failed to remove the mapping '%s'", LUKS_MAPPING) : 0;
}

/* What is told of it stays true: the generator of the next userspace finds the pool and writes the mounts.
 * After a wipe there is none. */
static int keep_pool(void) {
        _cleanup_(status_done) Status s = {};
        const FileSystem *fs;
        int r;

        r = read_status(&s);
        if (r < 0)
                return r;
        if (s.state != STATE_ENCRYPTED)
                return 0;
        fs = filesystem_find(s.fs_type ?: "");
        if (!fs)
                return log_error_errno(-EBADMSG, "Failed to read '%s'", STATUS_PATH);
        /* Its options are those of the first mount, whatever these are. */
        r = filesystem_mount(fs, LUKS_NODE, POOL_DIRECTORY, false, &s);
        if (r < 0)
                log_error("%s", s.detail ?: "Out of memory");
        /* The mark of an overlay, by which the next one is refused. */
        else if (rmdir(POOL_DIRECTORY "/nix/work/work/incompat/volatile") < 0 && errno != ENOENT)
                log_warning_errno(-errno, "Failed to prepare the pool for another overlay");
        return r;
}

static int verb_forget(void) {
        int r;

        pool_detach();
        r = luks_close_unused();
        if (r == -EBUSY)
                return keep_pool();
        if (r < 0)
                return log_error_errno(r, "Failed to remove the mapping '%s'", LUKS_MAPPING);
        r = attempt_forget();
        return r < 0 ? log_error_errno(r, "Failed to remove the files in '%s'", STATUS_DIRECTORY) : 0;
}

/* What was left to do by a wipe that failed halfway is done by the next one. */
static bool can_be_wiped(const Status *s) {
        return s->state == STATE_ENCRYPTED || (s->reason == REASON_WIPED && s->mounts);
}

static int verb_wipe(void) {
        _cleanup_(status_done) Status before = {}, s = { .state = STATE_NONE };
        int r, q;

        r = outcome_read(&before);
        if (r == -ENOENT || (r >= 0 && !can_be_wiped(&before))) {
                log_error("There is no encrypted scratch disk to wipe: the state is %s.",
                          state_to_string(before.state));
                return -ENOENT;
        }
        if (r < 0)
                return log_error_errno(r, "Failed to read '%s'", STATUS_PATH);

        r = wipe_key(&s);
        if (r < 0)
                return log_error_errno(r, "%s", s.detail ?: "Out of memory");
        s.reason = REASON_WIPED;
        s.detail = strdup("The key was destroyed by ccvm-scratch wipe");
        r = wipe_mounts(before.mounts, &s);
        if (r < 0) {
                log_error("%s", s.detail ?: "Out of memory");
                s.mounts = TAKE_PTR(before.mounts);
        }
        q = outcome_announce(&s);
        return r < 0 ? r : q;
}

/* What is not on the disk yet is given up, also where dm-crypt has it already. */
static void abandon_disk(void) {
        struct stat st;
        int r;

        log_to_kmsg(); /* beside what the kernel says of it */
        pool_abandon();
        r = stat(LUKS_NODE, &st) < 0 ? -errno : unplug_below(st.st_rdev);
        if (r < 0)
                log_warning_errno(r, "Failed to remove the disk: what is not on it yet is written first");
}

/* The mapping goes when the pool is unmounted, which is next. Where somebody still uses the pool, as an
 * overlay of /nix/store that stays mounted, it is left to systemd-shutdown(8): programs that are yet to run
 * may be on it. */
static int verb_shutdown(void) {
        _cleanup_(status_done) Status s = {};
        int r;

        r = read_status(&s);
        if (r < 0)
                return r;
        if (s.state != STATE_ENCRYPTED)
                return 0;
        r = mounted_in_use(&s);
        if (r < 0)
                return log_error_errno(r, "Failed to look for users of '%s'", POOL_DIRECTORY);
        if (r > 0) {
                log_info("The scratch pool is still in use, and what is not on the disk yet is written.");
                return 0;
        }
        abandon_disk();
        r = luks_remove_later();
        return r < 0 ? log_error_errno(r, "Failed to remove the mapping '%s'", LUKS_MAPPING) : 0;
}

/* If anything was freed or written since the last time. */
static int trim(const Status *s) {
        const FileSystem *fs = s->state == STATE_ENCRYPTED ? filesystem_find(s->fs_type ?: "") : NULL;
        _cleanup_free_ char *last = NULL, *now = NULL;
        struct statvfs v;
        int r;

        if (!fs || filesystem_discards(fs) || statvfs(POOL_DIRECTORY, &v) < 0)
                return 0;
        if (asprintf(&now, "%llu", (unsigned long long) v.f_bfree) < 0)
                return log_oom();
        if (file_read(FREE_PATH, KIB, &last) >= 0 && streq(last, now))
                return 0;
        r = filesystem_trim(POOL_DIRECTORY);
        if (r >= 0)
                r = file_write_atomic(FREE_PATH, now, 0644);
        return r < 0 && r != -ETIME ? log_warning_errno(r, "Failed to give freed blocks back") : 0;
}

static int verb_health(void) {
        _cleanup_(status_done) Status s = {};
        Health h;
        int r;

        r = read_status(&s);
        if (r < 0)
                return r;
        integrity_check();
        h = health_read("", &s);
        r = outcome_note_health(&s, h);
        if (h == HEALTH_OK)
                (void) trim(&s);
        return r;
}

/* The key passes through this process: no core file, no debugger, no look at its memory. */
static void forbid_dumps(void) {
        (void) prctl(PR_SET_DUMPABLE, 0);
        (void) setrlimit(RLIMIT_CORE, &(struct rlimit) {});
}

int main(int argc, char *argv[]) {
        static const struct {
                const char *name;
                int (*run)(void);
        } verbs[] = {
                { "encrypt", verb_encrypt },
                { "fallback", verb_fallback },
                { "directories", verb_directories },
                { "check", verb_check },
                { "close", verb_close },
                { "forget", verb_forget },
                { "wipe", verb_wipe },
                { "shutdown", verb_shutdown },
                { "health", verb_health },
        };
        int r;

        log_setup("ccvm-scratch-setup");
        forbid_dumps();
        r = parse_argv(argc, argv);
        if (r <= 0)
                return r < 0 ? 2 : EXIT_SUCCESS;

        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (streq(verbs[i].name, argv[optind]))
                        return verbs[i].run() < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        log_error("Unknown verb '%s': takes " VERBS "; see --help.", argv[optind]);
        return 2;
}
