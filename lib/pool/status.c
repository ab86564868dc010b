/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "status.h"

#include "fileio.h"
#include "jsonbuild.h"
#include "parse.h"

#define STATUS_MAX (64 * KIB)

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

#define FIELD(s, type, offset) ((type *) ((char *) (s) + (offset)))

const char *state_to_string(State s) {
        return state_table[s];
}

bool status_is_degraded(const Status *s) {
        return s->reason != REASON_NONE || (s->state != STATE_OFF && s->state != STATE_ENCRYPTED);
}

int status_to_json(const Status *s, json_object **ret) {
        _cleanup_json_ json_object *v = json_object_new_object(), *timings = json_object_new_object();
        bool ok = v && timings;

        if (!ok)
                return -ENOMEM;
        ok &= json_add_string(v, "state", state_table[s->state]);
        ok &= json_add_string(v, "reason", reason_to_string(s->reason));
        for (size_t i = 0; i < ELEMENTSOF(string_fields); i++)
                ok &= json_add_string(v, string_fields[i].key, *FIELD(s, char *, string_fields[i].offset));
        for (size_t i = 0; i < ELEMENTSOF(number_fields); i++)
                ok &= json_add_number(v, number_fields[i].key, *FIELD(s, uint64_t, number_fields[i].offset));
        ok &= json_add_strings(v, "mounts", (const char *const *) s->mounts);
        for (Timing t = 0; t < _TIMING_MAX; t++)
                ok &= json_add_number(timings, timing_table[t], s->timings_usec[t]);
        ok &= json_add(v, "timingsUSec", TAKE_PTR(timings));
        if (!ok)
                return -ENOMEM;
        *ret = TAKE_PTR(v);
        return 0;
}

int status_format(const Status *s, char **ret) {
        _cleanup_json_ json_object *v = NULL;
        const char *text;
        char *line;
        int r;

        r = status_to_json(s, &v);
        if (r < 0)
                return r;
        text = json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
        if (!text || asprintf(&line, "%s\n", text) < 0)
                return -ENOMEM;
        *ret = line;
        return 0;
}

/* Returns the string in v, borrowed from it, or NULL. One with control characters, which might move a
 * cursor, or with bytes that need not be UTF-8 is none of ours. */
static const char *to_string(json_object *v) {
        const char *s = json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;
        size_t l = s ? json_object_get_string_len(v) : 0;

        for (size_t i = 0; i < l; i++)
                if (s[i] < ' ' || s[i] > '~')
                        return NULL;
        return s;
}

/* Returns the field key of v, borrowed from it; NULL if there is none, or v is no object. */
static json_object *get_field(json_object *v, const char *key) {
        json_object *field = NULL;

        (void) json_object_object_get_ex(v, key, &field);
        return field;
}

static const char *get_string(json_object *v, const char *key) {
        return to_string(get_field(v, key));
}

/* Returns the number in the field key of v; 0 for what is none, or negative, or larger than any size. */
static uint64_t get_number(json_object *v, const char *key) {
        json_object *field = get_field(v, key);
        int64_t n = json_object_is_type(field, json_type_int) ? json_object_get_int64(field) : 0;

        return n > 0 && n < INT64_MAX ? n : 0;
}

/* Finds the index of word in table, or -EINVAL. Gaps in the table are NULL. */
static int table_find(const char *const *table, int n, const char *word) {
        for (int i = 0; i < n; i++)
                if (table[i] && streq(table[i], word))
                        return i;
        return -EINVAL;
}

static int parse_outcome(json_object *v, Status *s) {
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

static int parse_mounts(json_object *mounts, Status *s) {
        size_t n = json_object_is_type(mounts, json_type_array) ? json_object_array_length(mounts) : 0,
               k = 0;

        if (n == 0)
                return 0;
        s->mounts = calloc(n + 1, sizeof(char *));
        if (!s->mounts)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                const char *path = to_string(json_object_array_get_idx(mounts, i));
                if (path && !(s->mounts[k++] = strdup(path)))
                        return -ENOMEM;
        }
        return 0;
}

static int parse_fields(json_object *v, Status *s) {
        json_object *timings = get_field(v, "timingsUSec");
        int r;

        r = parse_outcome(v, s);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(string_fields); i++) {
                const char *value = get_string(v, string_fields[i].key);
                if (value && !(*FIELD(s, char *, string_fields[i].offset) = strdup(value)))
                        return -ENOMEM;
        }
        for (size_t i = 0; i < ELEMENTSOF(number_fields); i++)
                *FIELD(s, uint64_t, number_fields[i].offset) = get_number(v, number_fields[i].key);
        for (Timing t = 0; t < _TIMING_MAX; t++)
                s->timings_usec[t] = get_number(timings, timing_table[t]);
        return parse_mounts(get_field(v, "mounts"), s);
}

DEFINE_TRIVIAL_CLEANUP_FUNC(json_tokener *, json_tokener_free)

int status_parse(const char *text, Status *ret) {
        _cleanup_(json_tokener_freep) json_tokener *tokener = json_tokener_new();
        _cleanup_json_ json_object *v = NULL;

        *ret = (Status) {};
        if (!tokener)
                return -ENOMEM;
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
        v = json_tokener_parse_ex(tokener, text, (int) strlen(text));
        return json_object_is_type(v, json_type_object) ? parse_fields(v, ret) : -EINVAL;
}

int status_read(Status *ret) {
        _cleanup_free_ char *text = NULL;
        int r;

        *ret = (Status) {};
        r = file_read(STATUS_PATH, STATUS_MAX, &text);
        return r < 0 ? r : status_parse(text, ret);
}

int status_write(const Status *s) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = status_format(s, &text);
        if (r < 0)
                return r;
        return file_update(STATUS_PATH, text);
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
