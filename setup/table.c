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
        value = startswith(word, "integrity:");
        if (value) {
                /* "integrity:32:aead"; a tag without authentication would be of another type. */
                char *number = (char *) value, *end = strchr(number, ':');
                if (!end || !streq(end, ":aead"))
                        return -EINVAL;
                *end = 0;
                if (parse_unsigned(number, 4096, &size) < 0)
                        return -EINVAL;
                t->tag_size = size;
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

int table_parse_integrity(const char *params, IntegrityTable *ret) {
        _cleanup_free_ char *copy = strdup(params);
        IntegrityTable t = {};
        uint64_t tag_size;
        char *p = copy;

        if (!copy)
                return -ENOMEM;
        /* What follows, the mode and its options, is about journal and layout. */
        char *device = next_word(&p);
        if (!device || parse_device(device, &t.device) < 0 || next_number(&p, INT64_MAX, &t.offset) < 0 ||
            next_number(&p, 4096, &tag_size) < 0 || !p)
                return -EINVAL;
        t.tag_size = tag_size;
        *ret = t;
        return 0;
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
        *ret = t;
        return 0;
}

const char *table_difference(const CryptTable *a, const CryptTable *b) {
        const struct {
                bool differs;
                const char *name;
        } properties[] = {
                { a->start != b->start, "start" },
                { a->length != b->length, "length" },
                { !streq(a->cipher, b->cipher), "cipher" },
                { a->key_size != b->key_size, "key size" },
                { a->iv_offset != b->iv_offset, "IV offset" },
                { a->device != b->device, "device" },
                { a->offset != b->offset, "data offset" },
                { a->sector_size != b->sector_size, "sector size" },
                { a->tag_size != b->tag_size, "tag size" },
                { a->allow_discards != b->allow_discards, "discards" },
        };

        for (size_t i = 0; i < ELEMENTSOF(properties); i++)
                if (properties[i].differs)
                        return properties[i].name;
        return NULL;
}
