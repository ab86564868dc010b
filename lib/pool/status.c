/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "status.h"

#include <systemd/sd-json.h>

static const char *const state_table[_STATE_MAX] = {
        [STATE_OFF] = "off",
        [STATE_ENCRYPTED] = "encrypted",
        [STATE_TMPFS] = "tmpfs",
        [STATE_NONE] = "none",
};

static const char *const timing_table[_TIMING_MAX] = {
        [TIMING_WAIT] = "wait", [TIMING_FORMAT] = "format", [TIMING_ACTIVATE] = "activate",
        [TIMING_MKFS] = "mkfs", [TIMING_MOUNT] = "mount",   [TIMING_TOTAL] = "total",
};

/* The JSON fields that are plain strings, and plain numbers, of the struct. */
static const struct {
        const char *key;
        size_t offset;
} string_fields[] = {
        { "detail", offsetof(Status, detail) },       { "device", offsetof(Status, device) },
        { "mapper", offsetof(Status, mapper) },       { "uuid", offsetof(Status, uuid) },
        { "cipher", offsetof(Status, cipher) },       { "header", offsetof(Status, header) },
        { "integrity", offsetof(Status, integrity) }, { "fsType", offsetof(Status, fs_type) },
}, number_fields[] = {
        { "keySize", offsetof(Status, key_size) },
        { "sectorSize", offsetof(Status, sector_size) },
        { "keyslots", offsetof(Status, keyslots) },
        { "sizeBytes", offsetof(Status, size_bytes) },
};

#define _cleanup_json_ _cleanup_(sd_json_variant_unrefp)
#define FIELD(s, type, offset) ((type *) ((char *) (s) + (offset)))

const char *state_to_string(State s) {
        return state_table[s];
}

static int set_string(sd_json_variant **v, const char *key, const char *value) {
        if (!value) {
                _cleanup_json_ sd_json_variant *null = NULL;
                int r = sd_json_variant_new_null(&null);
                return r < 0 ? r : sd_json_variant_set_field(v, key, null);
        }
        return sd_json_variant_set_field_string(v, key, value);
}

static int set_timings(sd_json_variant **v, const Status *s) {
        _cleanup_json_ sd_json_variant *timings = NULL;
        int r = 0;

        for (Timing t = 0; t < _TIMING_MAX && r >= 0; t++)
                r = sd_json_variant_set_field_unsigned(&timings, timing_table[t], s->timings_usec[t]);
        return r < 0 ? r : sd_json_variant_set_field(v, "timingsUSec", timings);
}

int status_format(const Status *s, char **ret) {
        static char *no_mounts[] = { NULL };
        _cleanup_json_ sd_json_variant *v = NULL;
        int r;

        r = set_string(&v, "state", state_table[s->state]);
        if (r >= 0)
                r = set_string(&v, "reason", reason_to_string(s->reason));
        for (size_t i = 0; i < ELEMENTSOF(string_fields) && r >= 0; i++)
                r = set_string(&v, string_fields[i].key, *FIELD(s, char *, string_fields[i].offset));
        for (size_t i = 0; i < ELEMENTSOF(number_fields) && r >= 0; i++)
                r = sd_json_variant_set_field_unsigned(&v, number_fields[i].key,
                                                       *FIELD(s, uint64_t, number_fields[i].offset));
        if (r >= 0)
                r = sd_json_variant_set_field_strv(&v, "mounts", s->mounts ?: no_mounts);
        if (r >= 0)
                r = set_timings(&v, s);
        if (r >= 0)
                r = sd_json_variant_format(v, SD_JSON_FORMAT_NEWLINE, ret);
        return r < 0 ? r : 0;
}

/* The string in v, borrowed from it, or NULL. One with control characters is none of ours: it might move a
 * cursor, and sd-json writes DEL in a form that it does not read. */
static const char *to_string(sd_json_variant *v) {
        const char *s = v && sd_json_variant_is_string(v) ? sd_json_variant_string(v) : NULL;

        for (const char *p = s; p && *p; p++)
                if ((unsigned char) *p < ' ' || *p == 0x7f)
                        return NULL;
        return s;
}

static const char *get_string(sd_json_variant *v, const char *key) {
        return to_string(sd_json_variant_by_key(v, key));
}

static uint64_t get_unsigned(sd_json_variant *v, const char *key) {
        sd_json_variant *field = sd_json_variant_by_key(v, key);

        return field && sd_json_variant_is_unsigned(field) ? sd_json_variant_unsigned(field) : 0;
}

/* The index of word in table, or -EINVAL. Gaps in the table are NULL. */
static int table_find(const char *const *table, int n, const char *word) {
        for (int i = 0; i < n; i++)
                if (table[i] && streq(table[i], word))
                        return i;
        return -EINVAL;
}

static int parse_outcome(sd_json_variant *v, Status *s) {
        const char *state = get_string(v, "state"), *reason = get_string(v, "reason");
        int r;

        r = state ? table_find(state_table, _STATE_MAX, state) : -EINVAL;
        if (r < 0)
                return r;
        s->state = r;

        r = reason ? reason_from_string(reason) : REASON_NONE;
        s->reason = r < 0 ? REASON_INTERNAL : r;
        return 0;
}

static int parse_mounts(sd_json_variant *mounts, Status *s) {
        size_t n = mounts && sd_json_variant_is_array(mounts) ? sd_json_variant_elements(mounts) : 0, k = 0;

        if (n == 0)
                return 0;
        s->mounts = calloc(n + 1, sizeof(char *));
        if (!s->mounts)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                const char *path = to_string(sd_json_variant_by_index(mounts, i));
                if (path && !(s->mounts[k++] = strdup(path)))
                        return -ENOMEM;
        }
        return 0;
}

int status_parse(const char *text, Status *ret) {
        _cleanup_json_ sd_json_variant *v = NULL;
        int r;

        *ret = (Status) {};
        r = sd_json_parse(text, 0, &v, NULL, NULL);
        if (r == -ENOMEM)
                return r;
        if (r < 0 || !sd_json_variant_is_object(v))
                return -EINVAL;

        r = parse_outcome(v, ret);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(string_fields); i++) {
                const char *value = get_string(v, string_fields[i].key);
                char **field = FIELD(ret, char *, string_fields[i].offset);
                if (value && !(*field = strdup(value)))
                        return -ENOMEM;
        }
        for (size_t i = 0; i < ELEMENTSOF(number_fields); i++)
                *FIELD(ret, uint64_t, number_fields[i].offset) = get_unsigned(v, number_fields[i].key);

        sd_json_variant *timings = sd_json_variant_by_key(v, "timingsUSec");
        for (Timing t = 0; timings && t < _TIMING_MAX; t++)
                ret->timings_usec[t] = get_unsigned(timings, timing_table[t]);

        return parse_mounts(sd_json_variant_by_key(v, "mounts"), ret);
}

void status_free_mounts(Status *s) {
        for (char **m = s->mounts; m && *m; m++)
                free(*m);
        free(TAKE_PTR(s->mounts));
}

void status_done(Status *s) {
        for (size_t i = 0; i < ELEMENTSOF(string_fields); i++)
                free(*FIELD(s, char *, string_fields[i].offset));
        status_free_mounts(s);
        *s = (Status) {};
}
