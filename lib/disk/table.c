/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "table.h"

#include <libdevmapper.h>
#include <sys/sysmacros.h>

#include "parse.h"

/* The next word of *text, which is cut up; NULL at its end. */
static char *next_word(char **text) {
        char *word;

        do
                word = strsep(text, " ");
        while (word && !*word);
        return word;
}

static int next_number(char **text, uint64_t max, uint64_t *ret) {
        char *word = next_word(text);

        return word && parse_unsigned(word, max, ret) >= 0 ? 0 : -EINVAL;
}

/* ":64:logon:cryptsetup:…" names a key of 64 bytes in a keyring; else it is the key itself, in hex. */
static int parse_key_size(const char *word, uint32_t *ret) {
        uint64_t bytes;

        if (word[0] == ':') {
                char number[8];
                size_t l = strcspn(word + 1, ":");
                if (word[1 + l] != ':' || l >= sizeof(number))
                        return -EINVAL;
                memcpy(number, word + 1, l);
                number[l] = 0;
                if (parse_unsigned(number, 4096, &bytes) < 0)
                        return -EINVAL;
        } else {
                size_t l = strlen(word);
                if (l % 2 != 0 || l > 8192 || strspn(word, "0123456789abcdefABCDEF") != l)
                        return -EINVAL;
                bytes = l / 2;
        }
        *ret = bytes * 8;
        return 0;
}

/* The kernel prints the disk as major:minor. */
static int parse_device(char *word, dev_t *ret) {
        uint64_t major_number, minor_number;
        char *colon = strchr(word, ':');

        if (!colon)
                return -EINVAL;
        *colon = 0;
        if (parse_unsigned(word, UINT32_MAX, &major_number) < 0 ||
            parse_unsigned(colon + 1, UINT32_MAX, &minor_number) < 0)
                return -EINVAL;
        *ret = makedev(major_number, minor_number);
        return 0;
}

static int parse_option(char *word, CryptTable *t) {
        const char *value = startswith(word, "sector_size:");
        uint64_t size;

        if (value) {
                if (parse_unsigned(value, 4096, &size) < 0)
                        return -EINVAL;
                t->sector_size = size;
                return 0;
        }
        if (streq(word, "allow_discards")) {
                t->allow_discards = true;
                return 0;
        }
        return -EINVAL;
}

int table_parse(const char *params, CryptTable *ret) {
        _cleanup_free_ char *copy = strdup(params);
        CryptTable t = { .sector_size = 512 };
        uint64_t options = 0;
        char *p = copy, *word;

        if (!copy)
                return -ENOMEM;
        word = next_word(&p);
        if (!word || strlen(word) >= sizeof(t.cipher))
                return -EINVAL;
        strcpy(t.cipher, word);

        word = next_word(&p);
        int r = word ? parse_key_size(word, &t.key_size) : -EINVAL;
        if (word)
                explicit_bzero(word, strlen(word)); /* where there is no keyring it is the key */
        if (r < 0 || next_number(&p, INT64_MAX, &t.iv_offset) < 0)
                return -EINVAL;

        word = next_word(&p);
        if (!word || parse_device(word, &t.device) < 0 || next_number(&p, INT64_MAX, &t.offset) < 0)
                return -EINVAL;

        word = next_word(&p);
        if (word && parse_unsigned(word, 64, &options) < 0)
                return -EINVAL;
        for (; options > 0; options--) {
                word = next_word(&p);
                if (!word || parse_option(word, &t) < 0)
                        return -EINVAL;
        }
        if (next_word(&p))
                return -EINVAL;
        *ret = t;
        return 0;
}

DEFINE_TRIVIAL_CLEANUP_FUNC(struct dm_task *, dm_task_destroy)

/* What a mapping with a single target has; params belongs to the task. */
typedef struct Target {
        dev_t number;
        uint64_t start, length; /* sectors */
        const char *params;
} Target;

static int read_target(struct dm_task *task, const char *name, const char *type, Target *ret) {
        struct dm_info info;
        char *actual, *params;
        Target t;

        /* Secure: libdevmapper wipes its buffers, which may hold the key. */
        if (!task || !dm_task_set_name(task, name) || !dm_task_secure_data(task) || !dm_task_run(task) ||
            !dm_task_get_info(task, &info))
                return -EIO;
        if (!info.exists)
                return -ENODEV;
        if (dm_get_next_target(task, NULL, &t.start, &t.length, &actual, &params) || !actual ||
            !streq(actual, type))
                return -EINVAL;
        t.number = makedev(info.major, info.minor);
        t.params = params;
        *ret = t;
        return 0;
}

int table_read(const char *name, CryptTable *ret) {
        _cleanup_(dm_task_destroyp) struct dm_task *task = dm_task_create(DM_DEVICE_TABLE);
        Target target;
        CryptTable t;
        int r;

        r = read_target(task, name, "crypt", &target);
        if (r >= 0)
                r = table_parse(target.params, &t);
        if (r < 0)
                return r;
        t.start = target.start;
        t.length = target.length;
        *ret = t;
        return 0;
}

/* "hmac(sha256):" and the key in hex, which is wiped. */
static int parse_hash(char *word, IntegrityTable *t) {
        char *key = strrchr(word, ':');
        int r;

        if (!key || !key[1] || (size_t) (key - word) >= sizeof(t->hash))
                return -EINVAL;
        memcpy(t->hash, word, key - word);
        t->hash[key - word] = 0;
        r = key[1] == ':' ? -EINVAL : parse_key_size(key + 1, &t->key_size);
        explicit_bzero(key, strlen(key));
        return r;
}

/* Options that are only about the layout of the tags and the journal. */
static bool is_about_layout(const char *word) {
        static const char *const prefixes[] = {
                "journal_sectors:", "interleave_sectors:", "buffer_sectors:", "fix_padding", "fix_hmac",
        };

        for (size_t i = 0; i < ELEMENTSOF(prefixes); i++)
                if (startswith(word, prefixes[i]))
                        return true;
        return false;
}

static int parse_integrity_option(char *word, IntegrityTable *t) {
        const char *value;
        uint64_t size;
        int r = 0;

        if ((value = startswith(word, "meta_device:")))
                r = parse_device((char *) value, &t->meta_device);
        else if ((value = startswith(word, "block_size:"))) {
                r = parse_unsigned(value, 4096, &size);
                t->sector_size = r >= 0 ? size : 0;
        } else if ((value = startswith(word, "internal_hash:")))
                r = parse_hash((char *) value, t);
        else if (streq(word, "allow_discards"))
                t->allow_discards = true;
        else if (!is_about_layout(word))
                r = -EINVAL;
        return r < 0 ? -EINVAL : 0;
}

/* The text is cut up. */
static int parse_integrity(char *p, IntegrityTable *t) {
        uint64_t tag_size, options;
        char *word;

        word = next_word(&p);
        if (!word || parse_device(word, &t->device) < 0 || next_number(&p, INT64_MAX, &t->offset) < 0 ||
            next_number(&p, 4096, &tag_size) < 0)
                return -EINVAL;
        t->tag_size = tag_size;

        word = next_word(&p);
        if (!word || strlen(word) != 1 || next_number(&p, 64, &options) < 0)
                return -EINVAL;
        t->mode = word[0];
        for (; options > 0; options--) {
                word = next_word(&p);
                if (!word || parse_integrity_option(word, t) < 0)
                        return -EINVAL;
        }
        return next_word(&p) ? -EINVAL : 0;
}

int table_parse_integrity(const char *params, IntegrityTable *ret) {
        _cleanup_free_ char *copy = strdup(params);
        IntegrityTable t = { .sector_size = 512 };
        size_t size;
        int r;

        if (!copy)
                return -ENOMEM;
        size = strlen(copy);
        r = parse_integrity(copy, &t);
        explicit_bzero(copy, size); /* the key */
        if (r >= 0)
                *ret = t;
        return r;
}

int table_read_integrity(const char *name, IntegrityTable *ret) {
        _cleanup_(dm_task_destroyp) struct dm_task *task = dm_task_create(DM_DEVICE_TABLE);
        IntegrityTable t;
        Target target;
        int r;

        r = read_target(task, name, "integrity", &target);
        if (r >= 0)
                r = table_parse_integrity(target.params, &t);
        if (r < 0)
                return r;
        t.number = target.number;
        t.start = target.start;
        t.length = target.length;
        *ret = t;
        return 0;
}

typedef struct Difference {
        bool differs;
        const char *name;
} Difference;

static const char *first_difference(const Difference *properties, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (properties[i].differs)
                        return properties[i].name;
        return NULL;
}

const char *table_difference(const CryptTable *a, const CryptTable *b) {
        const Difference properties[] = {
                { a->start != b->start, "start" },
                { a->length != b->length, "length" },
                { !streq(a->cipher, b->cipher), "cipher" },
                { a->key_size != b->key_size, "key size" },
                { a->iv_offset != b->iv_offset, "IV offset" },
                { a->device != b->device, "device" },
                { a->offset != b->offset, "data offset" },
                { a->sector_size != b->sector_size, "sector size" },
                { a->allow_discards != b->allow_discards, "discards" },
        };

        return first_difference(properties, ELEMENTSOF(properties));
}

const char *table_integrity_difference(const IntegrityTable *a, const IntegrityTable *b) {
        const Difference properties[] = {
                { a->start != b->start, "start" },
                { a->length != b->length, "length" },
                { a->device != b->device, "device" },
                { a->offset != b->offset, "data offset" },
                { a->tag_size != b->tag_size, "tag size" },
                { a->mode != b->mode, "mode" },
                { a->meta_device != b->meta_device, "device for the tags" },
                { a->sector_size != b->sector_size, "sector size" },
                { !streq(a->hash, b->hash), "hash" },
                { a->key_size != b->key_size, "key size" },
                { a->allow_discards != b->allow_discards, "discards" },
        };

        return first_difference(properties, ELEMENTSOF(properties));
}
