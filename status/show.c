/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "show.h"

#include <inttypes.h>
#include <sys/stat.h>
#include <time.h>

#include "config.h"
#include "health.h"
#include "jsonbuild.h"
#include "leaks.h"
#include "parse.h"

static bool is_authenticated(const Status *s) {
        return s->state == STATE_ENCRYPTED && !streq(s->integrity ?: "no", "no");
}

bool show_refused_json(json_object *v, const Refusals *refused) {
        json_object *array = json_object_new_array();
        bool ok = json_add(v, "refused", array);

        for (const Refusal *e = refused->entries; ok && e < refused->entries + refused->n; e++) {
                json_object *entry = json_object_new_object();
                ok = entry && json_object_array_add(array, entry) >= 0 &&
                     json_add_string(entry, "key", e->key) && json_add_string(entry, "value", e->value) &&
                     json_add_string(entry, "why", e->why);
        }
        return ok;
}

int show_json(const Now *now, JsonForm form) {
        const Status *s = &now->status;
        _cleanup_json_ json_object *v = NULL;
        bool ok;
        int r;

        r = status_to_json(s, &v);
        if (r < 0)
                return r;
        ok = json_add_strings(v, "missing", now->missing);
        ok &= show_refused_json(v, &now->refused);
        ok &= json_add_string(v, "health", s->state == STATE_NONE ? NULL : health_to_string(now->health));
        ok &= json_add_number(v, "usedBytes", now->used_bytes);
        if (is_authenticated(s))
                ok &= json_add_number(v, "tagBytes", integrity_tag_bytes(""));
        return ok ? json_print(v, form == JSON_PRETTY) : -ENOMEM;
}

#define SIZE_TEXT_MAX 32

/* Formats bytes as "1.5G", into buffer. */
static const char *format_size(uint64_t bytes, char buffer[static SIZE_TEXT_MAX]) {
        static const char units[] = "KMGTPE";
        double n = bytes / 1024.0;
        size_t u = 0;

        for (; n >= 1024 && units[u + 1]; u++)
                n /= 1024;
        snprintf(buffer, SIZE_TEXT_MAX, "%.1f%c", n, units[u]);
        return buffer;
}

/* Prints a line, unless value is NULL. An empty label continues the line above. */
static void print_string(const char *label, const char *value) {
        if (value)
                printf("%13s%c %s\n", label, *label ? ':' : ' ', value);
}

/* Returns whether words are coloured: as the environment says, else if a person looks on. */
static bool in_colour(void) {
        int wanted = parse_boolean(getenv("SYSTEMD_COLORS") ?: "");

        if (wanted >= 0)
                return wanted;
        return isempty(getenv("NO_COLOR")) && isatty(STDOUT_FILENO) &&
               !streq(getenv("TERM") ?: "dumb", "dumb");
}

#define GREEN "\033[1;32m"
#define RED "\033[1;31m"

static void print_coloured(const char *label, const char *colour, const char *value) {
        bool coloured = colour && in_colour();

        printf("%13s: %s%s%s\n", label, coloured ? colour : "", value, coloured ? "\033[0m" : "");
}

static void print_encryption(const Status *s) {
        char tags[SIZE_TEXT_MAX];

        if (!s->cipher)
                return;
        printf("%13s: %s, %" PRIu64 "-bit key, %" PRIu64 "-byte sectors, %" PRIu64 " keyslots\n", "Cipher",
               s->cipher, s->key_size, s->sector_size, s->keyslots);
        printf("%13s: LUKS2 %s, %s\n", "Header", s->uuid ?: "",
               streq(s->header ?: "", "ram") ? "in RAM" : "on the disk");
        if (is_authenticated(s))
                printf("%13s: %s, tags take %s of RAM\n", "Integrity", s->integrity,
                       format_size(integrity_tag_bytes(""), tags));
        else
                print_string("Integrity", s->integrity);
}

static void print_use(const Now *now) {
        uint64_t size = now->status.size_bytes, used = now->used_bytes;
        char buffers[2][SIZE_TEXT_MAX];

        if (size > 0)
                printf("%13s: %s of %s (%.0f%%)\n", "Used", format_size(used, buffers[0]),
                       format_size(size, buffers[1]), 100.0 * used / size);
}

/* Prints since when the record is there, and unless the clock has been set back, how long that is. */
static void print_since(void) {
        static const time_t seconds[] = { 24 * 60 * 60, 60 * 60, 60, 1 };
        static const char *const units[] = { "d", "h", "min", "s" };
        struct tm tm = {};
        struct stat st;
        char when[64];
        size_t i = 0;
        time_t age;

        if (stat(STATUS_PATH, &st) < 0 || !localtime_r(&st.st_mtime, &tm) ||
            strftime(when, sizeof(when), "%a %Y-%m-%d %H:%M:%S %Z", &tm) == 0)
                return;
        printf("%13s: %s", "Since", when);
        age = time(NULL) - st.st_mtime;
        while (age < seconds[i] && seconds[i] > 1)
                i++;
        if (age >= 0)
                printf("; %lli%s", (long long) (age / seconds[i]), units[i]);
        if (age >= 60)
                printf(" %lli%s", (long long) (age % seconds[i] / seconds[i + 1]), units[i + 1]);
        puts(age >= 0 ? " ago" : "");
}

/* Finds what a person can do about what is wrong; NULL if nothing is. */
static const char *find_remedy(const Now *now) {
        static const char *const by_reason[_REASON_MAX] = {
                [REASON_DEVICE_TIMEOUT] =
                        "attach a disk with this serial and reboot; if it comes late, raise "
                        "DeviceTimeoutSec=",
                [REASON_DEVICE_AMBIGUOUS] = "give one disk alone this serial, or choose another by Serial=",
                [REASON_DEVICE_READ_ONLY] = "attach the disk writable, and reboot",
                [REASON_DEVICE_TOO_SMALL] = "attach a larger disk, and reboot",
                [REASON_DEVICE_IN_USE] = "lsblk(8) shows what uses the disk: take that out of the image",
                [REASON_RNG] = "give the VM a virtio-rng, and reboot",
                [REASON_TIMEOUT] = "raise SetupTimeoutSec=, or find out what makes the disk slow",
                [REASON_KERNEL] = "put the module that is named into the initrd, or into the kernel",
                [REASON_WIPED] = "ccvm-scratch renew makes a new pool on the disk",
                [REASON_CLONED] = "ccvm-scratch renew gives the pool a key of its own",
        };
        const Status *s = &now->status;

        if (s->reason != REASON_NONE)
                return by_reason[s->reason] ?: "see journalctl -b -u ccvm-scratch-luks.service";
        if (s->state == STATE_ENCRYPTED && now->health != HEALTH_OK)
                return "see journalctl -b -k, put elsewhere what matters, and reboot for a new disk";
        if (now->n_missing > 0 && now->refused_paths[0])
                return "correct Mounts=, of which something was refused";
        return now->n_missing > 0 ? "findmnt(8) shows what is mounted there instead" : NULL;
}

static void print_timings(const Status *s) {
        const uint64_t *t = s->timings_usec;

        if (t[TIMING_TOTAL] == 0)
                return;
        printf("%13s: %.0f ms (wait %.0f, format %.0f, activate %.0f, mkfs %.0f, mount %.0f)\n", "Took",
               t[TIMING_TOTAL] / 1e3, t[TIMING_WAIT] / 1e3, t[TIMING_FORMAT] / 1e3, t[TIMING_ACTIVATE] / 1e3,
               t[TIMING_MKFS] / 1e3, t[TIMING_MOUNT] / 1e3);
}

static bool is_missing(const Now *now, const char *path) {
        for (size_t i = 0; i < now->n_missing; i++)
                if (streq(now->missing[i], path))
                        return true;
        return false;
}

static void print_mounts(const Now *now) {
        const char *label = "Mounts";

        for (char **m = now->status.mounts; m && *m; m++, label = "")
                printf("%13s%c %s%s\n", label, *label ? ':' : ' ', *m,
                       is_missing(now, *m) ? " (missing: not on the pool)" : "");
}

static void print_refused(const Refusals *refused) {
        const char *label = "Refused";

        for (const Refusal *e = refused->entries; e < refused->entries + refused->n; e++, label = "") {
                _cleanup_free_ char *text = refusal_to_string(e);
                print_string(label, text);
        }
}

/* What it does by default, to tell, asks for no warning. */
static bool acts_on_clones(void) {
        _cleanup_(config_done) Config c = {};

        return config_load_text(&c, CONFIG_PATH) >= 0 && c.on_clone != ON_CLONE_WARN;
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
        if (acts_on_clones())
                print_string("Warning", leaks_find_clone(""));
}

static void print_health(const Status *s, Health health) {
        static const char *const explanations[_HEALTH_MAX] = {
                [HEALTH_OK] = "ok",
                [HEALTH_ERRORS] =
                        "errors (degraded: reads or writes have failed; what was written may be lost)",
                [HEALTH_READ_ONLY] = "read-only (degraded: the file system has failed, and takes no writes)",
                [HEALTH_GONE] = "gone (degraded: the disk is gone, or its file system has shut down)",
        };

        if (s->state == STATE_ENCRYPTED)
                print_coloured("Health", health == HEALTH_OK ? GREEN : RED, explanations[health]);
}

void show_text(const Now *now) {
        static const char *const explanations[_STATE_MAX] = {
                [STATE_OFF] = "off (no disk was asked for)",
                [STATE_ENCRYPTED] = "encrypted",
                [STATE_TMPFS] = "tmpfs (degraded: the pool is in RAM)",
                [STATE_NONE] = "none (degraded: there is no pool)",
        };
        const Status *s = &now->status;

        print_coloured("State",
                       status_is_degraded(s)   ? RED
                       : s->state == STATE_OFF ? NULL
                                               : GREEN,
                       explanations[s->state]);
        print_string("Reason", reason_to_string(s->reason));
        print_string("Detail", s->detail);
        print_health(s, now->health);
        print_string("To do", find_remedy(now));
        print_use(now);
        print_since();
        print_mounts(now);
        print_refused(&now->refused);
        print_string("Disk", s->device);
        print_string("Mapping", s->mapper);
        print_string("File system", s->fs_type);
        print_encryption(s);
        print_timings(s);
        if (s->state == STATE_ENCRYPTED)
                print_warnings(s);
        else
                print_string("Warning", leaks_find_pool(""));
}
