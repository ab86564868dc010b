/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Fields of a JSON object, by json-c. Each call returns whether there was memory; what went before stays, so
 * that a caller may look at the end.
 *
 * When: wherever a status is written or shown. */

#include <stdint.h>

#include <json-c/json.h>

#include "macro.h"

static inline void json_putp(json_object **o) {
        json_object_put(*o);
}

#define _cleanup_json_ _cleanup_(json_putp)

/* Gives the field key of object this value, which belongs to object from now on. NULL: there was no
 * memory. */
static inline bool json_add(json_object *object, const char *key, json_object *value) {
        if (value && json_object_object_add(object, key, value) >= 0)
                return true;
        json_object_put(value);
        return false;
}

/* Gives the field key of object a string; NULL is JSON's null. */
static inline bool json_add_string(json_object *object, const char *key, const char *value) {
        if (!value)
                return json_object_object_add(object, key, NULL) >= 0;
        return json_add(object, key, json_object_new_string(value));
}

/* Gives the field key of object a number, which is at most INT64_MAX. */
static inline bool json_add_number(json_object *object, const char *key, uint64_t value) {
        return json_add(object, key, json_object_new_int64((int64_t) value));
}

/* Gives the field key of object an array of strings: list, NULL-terminated, or NULL for an empty one. */
static inline bool json_add_strings(json_object *object, const char *key, const char *const *list) {
        json_object *array = json_object_new_array();
        bool ok = json_add(object, key, array);

        for (; ok && list && *list; list++) {
                json_object *string = json_object_new_string(*list);
                ok = string && json_object_array_add(array, string) >= 0;
        }
        return ok;
}

/* Prints object on standard output: on one line, or indented for people. 0, or -errno. */
static inline int json_print(json_object *object, bool pretty) {
        int form = pretty ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_PRETTY_TAB | JSON_C_TO_STRING_SPACED
                          : JSON_C_TO_STRING_PLAIN;
        const char *text = json_object_to_json_string_ext(object, form | JSON_C_TO_STRING_NOSLASHESCAPE);

        if (!text)
                return -ENOMEM;
        return puts(text) < 0 ? -EIO : 0;
}
