/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "report.h"

#include <stdint.h>

#define DEPTH_MAX 8U

static const char *const states[] = {
        [REPORT_ENCRYPTED] = "encrypted",
        [REPORT_TMPFS] = "tmpfs",
        [REPORT_NONE] = "none",
        [REPORT_OFF] = "off",
};

static const char *const reasons[] = {
        "device-timeout",
        "device-ambiguous",
        "device-read-only",
        "device-too-small",
        "device-in-use",
        "rng",
        "format",
        "activate",
        "verify",
        "mkfs",
        "mount",
        "timeout",
        "internal",
        "wiped",
};

/* A piece of the line: without quotes, escapes as they stand (no word of the lists has one). */
typedef struct Span {
        const char *s;
        size_t n;
} Span;

static bool span_is(Span span, const char *s) {
        return span.n == strlen(s) && memcmp(span.s, s, span.n) == 0;
}

/* Length of the UTF-8 sequence at s, of at most n bytes; 0 if it is none or a control character (C0, DEL,
 * C1). */
static size_t utf8_length(const unsigned char *s, size_t n) {
        static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
        size_t length = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
        uint32_t c = length == 1 ? s[0] : s[0] & (0xffU >> (length + 1));

        if (length == 0 || length > n)
                return 0;
        for (size_t i = 1; i < length; i++) {
                if (s[i] >> 6 != 2)
                        return 0;
                c = c << 6 | (s[i] & 0x3f);
        }
        if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
                return 0;
        return c < 0x20 || (c >= 0x7f && c <= 0x9f) ? 0 : length;
}

static bool text_is_clean(const char *s, size_t n) {
        size_t k;

        for (; n > 0; s += k, n -= k) {
                k = utf8_length((const unsigned char *) s, n);
                if (k == 0)
                        return false;
        }
        return true;
}

/* The reader: each function moves *p behind what it read, in text that ends in a NUL and has no other. */

static bool read_char(const char **p, char c) {
        *p += strspn(*p, " ");
        if (**p != c)
                return false;
        (*p)++;
        return true;
}

static bool is_hex4(const char *s) {
        return strspn(s, "0123456789abcdefABCDEF") >= 4;
}

static int read_string(const char **p, Span *ret) {
        const char *start;

        if (!read_char(p, '"'))
                return -EBADMSG;
        for (start = *p; **p != '"'; (*p)++) {
                if (**p == '\0')
                        return -EBADMSG;
                if (**p != '\\')
                        continue;
                (*p)++;
                if (**p == '\0' || !strchr("\"\\/bfnrtu", **p) || (**p == 'u' && !is_hex4(*p + 1)))
                        return -EBADMSG;
        }
        *ret = (Span) { start, *p - start };
        (*p)++;
        return 0;
}

static size_t digits(const char *s) {
        return strspn(s, "0123456789");
}

static int read_number(const char **p) {
        const char *s = *p + (**p == '-');
        size_t n = digits(s);

        if (n == 0 || (n > 1 && *s == '0'))
                return -EBADMSG;
        s += n;
        if (*s == '.') {
                n = digits(++s);
                if (n == 0)
                        return -EBADMSG;
                s += n;
        }
        if (*s == 'e' || *s == 'E') {
                s += 1 + (s[1] == '+' || s[1] == '-');
                n = digits(s);
                if (n == 0)
                        return -EBADMSG;
                s += n;
        }
        *p = s;
        return 0;
}

/* What is wanted of the outermost object, as read_value() gives it, and how often it was there. */
typedef struct Wanted {
        Span state, reason;
        unsigned states_seen, reasons_seen;
} Wanted;

static int read_value(const char **p, unsigned depth, Span *ret);

static void keep_wanted(Wanted *w, Span key, Span value) {
        if (span_is(key, "state")) {
                w->state = value;
                w->states_seen++;
        } else if (span_is(key, "reason")) {
                w->reason = value;
                w->reasons_seen++;
        }
}

/* Behind the opening brace. wanted may be NULL. */
static int read_members(const char **p, unsigned depth, Wanted *wanted) {
        Span key, value;
        int r;

        if (read_char(p, '}'))
                return 0;
        do {
                r = read_string(p, &key);
                if (r >= 0)
                        r = read_char(p, ':') ? read_value(p, depth, &value) : -EBADMSG;
                if (r < 0)
                        return r;
                if (wanted)
                        keep_wanted(wanted, key, value);
        } while (read_char(p, ','));
        return read_char(p, '}') ? 0 : -EBADMSG;
}

/* Behind the opening bracket. */
static int read_elements(const char **p, unsigned depth) {
        Span value;
        int r;

        if (read_char(p, ']'))
                return 0;
        do {
                r = read_value(p, depth, &value);
                if (r < 0)
                        return r;
        } while (read_char(p, ','));
        return read_char(p, ']') ? 0 : -EBADMSG;
}

/* ret is set to a string's text, to { NULL, 0 } for null, and to { NULL, 1 } for every other value. */
static int read_value(const char **p, unsigned depth, Span *ret) {
        static const char *const literals[] = { "null", "true", "false" };

        if (depth >= DEPTH_MAX)
                return -EBADMSG;
        *ret = (Span) { NULL, 1 };
        if (read_char(p, '{'))
                return read_members(p, depth + 1, NULL);
        if (read_char(p, '['))
                return read_elements(p, depth + 1);
        if (**p == '"')
                return read_string(p, ret);
        for (size_t i = 0; i < ELEMENTSOF(literals); i++) {
                const char *rest = startswith(*p, literals[i]);
                if (rest) {
                        *p = rest;
                        ret->n = i > 0;
                        return 0;
                }
        }
        return read_number(p);
}

static int read_report(const char *text, Wanted *ret) {
        Wanted w = {};
        int r;

        if (!read_char(&text, '{'))
                return -EBADMSG;
        r = read_members(&text, 1, &w);
        if (r < 0)
                return r;
        text += strspn(text, " ");
        if (*text || w.states_seen != 1 || w.reasons_seen > 1)
                return -EBADMSG;
        *ret = w;
        return 0;
}

static int find_word(Span span, const char *const *list, size_t n) {
        for (size_t i = 0; span.s && i < n; i++)
                if (span_is(span, list[i]))
                        return (int) i;
        return -EBADMSG;
}

int report_parse(const char *line, size_t length, Report *ret) {
        char text[REPORT_LINE_MAX + 1];
        Wanted w = {};
        int state, reason = -1, r;

        if (length > REPORT_LINE_MAX)
                return -E2BIG;
        if (!text_is_clean(line, length))
                return -EBADMSG;
        memcpy(text, line, length);
        text[length] = '\0';

        r = read_report(text, &w);
        if (r < 0)
                return r;
        state = find_word(w.state, states, ELEMENTSOF(states));
        if (state < 0)
                return state;
        if (w.reason.s || w.reason.n > 0) {
                reason = find_word(w.reason, reasons, ELEMENTSOF(reasons));
                if (reason < 0)
                        return reason;
        }
        *ret = (Report) { .state = (ReportState) state, .reason = reason >= 0 ? reasons[reason] : NULL };
        return 0;
}

int report_describe(const Report *report, char **ret) {
        static const char *const texts[] = {
                [REPORT_TMPFS] = "guest fell back to RAM",
                [REPORT_NONE] = "guest has no scratch space",
                [REPORT_OFF] = "guest does not use the disk",
        };
        int r;

        *ret = NULL;
        if (report->state == REPORT_ENCRYPTED)
                return 0;
        r = asprintf(ret, "%s%s%s", texts[report->state], report->reason ? ": " : "", report->reason ?: "");
        if (r < 0)
                *ret = NULL;
        return r < 0 ? -ENOMEM : 0;
}
