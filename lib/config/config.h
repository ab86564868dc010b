/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the user asked for: defaults, config files, credentials and the kernel command line, each over the
 * one before it. Whatever comes out is usable: a bad value, line or entry of a list costs itself alone, and
 * is among what was refused. What is there and cannot be read may have asked for anything: it counts as
 * asking for Fallback=fail and Integrity=hmac-sha256, which whatever comes over it may take back; but not
 * for a disk. Nothing here logs.
 *
 * Used by the generator, at each of its runs, by ccvm-scratch-setup at each start, and by ccvm-scratch(1)
 * at any time. */

#include <stdint.h>

#include "dirspec.h"
#include "macro.h"
#include "refusals.h"

/* More than anybody mounts; bounds what a command line can make the generator write. */
#define CONFIG_MOUNTS_MAX 32

/* In the order of the words that the options take (options.c). */
typedef enum NixStore { NIX_STORE_NO, NIX_STORE_UPPER, NIX_STORE_OVERLAY } NixStore;
typedef enum Header { HEADER_DISK, HEADER_RAM } Header;
typedef enum Integrity { INTEGRITY_NO, INTEGRITY_HMAC_SHA256 } Integrity;
typedef enum Fallback { FALLBACK_TMPFS, FALLBACK_NONE, FALLBACK_FAIL } Fallback;
typedef enum OnClone { ON_CLONE_WARN, ON_CLONE_RENEW, ON_CLONE_WIPE } OnClone;

/* The options, in the order of the manual. */
enum {
        OPTION_VM_DISK,
        OPTION_SERIAL,
        OPTION_MOUNTS,
        OPTION_NIX_STORE,
        OPTION_FILE_SYSTEM,
        OPTION_HEADER,
        OPTION_INTEGRITY,
        OPTION_DISCARD,
        OPTION_DEVICE_TIMEOUT,
        OPTION_SETUP_TIMEOUT,
        OPTION_FALLBACK,
        OPTION_FALLBACK_SIZE,
        OPTION_ON_CLONE,
        _OPTION_MAX,
};

/* An option as text, and where that stands; both are owned. */
typedef struct ConfigValue {
        char *text;
        char *where; /* "/etc/ccvm-scratch.conf:3", in printable ASCII; NULL for the default */
} ConfigValue;

typedef struct Config {
        ConfigValue values[_OPTION_MAX]; /* valid; the fields below are what they mean */
        bool vm_disk;                    /* the host has attached a disk, or will */
        bool hotplug;                    /* it will, when the system runs; never without vm_disk */
        DirSpec mounts[CONFIG_MOUNTS_MAX];
        size_t n_mounts;
        NixStore nix_store;
        Header header;
        Integrity integrity;
        Fallback fallback;
        OnClone on_clone;
        bool discard;
        uint64_t device_timeout_sec;
        uint64_t setup_timeout_sec;
        char fallback_size[24]; /* as tmpfs(5) takes it in size= */
        bool initrd_differs;    /* the initrd has made the pool for other Mounts= or NixStore= */
        char *text;             /* owned: all that is no default, as a config file */
        Refusals refused;
        bool marker_unknown; /* a word for VmDisk= was refused, or something could not be read */
} Config;

/* A text that is there; or why it cannot be read, -errno; or neither. */
typedef struct ConfigText {
        char *text;
        int error;
} ConfigText;

/* Where it comes from. */
typedef struct ConfigSources {
        const char *root;                   /* of the config files, borrowed; NULL reads none */
        ConfigText conf, vm_disk, fallback; /* the credentials ccvm.conf, ccvm.vm-disk and ccvm.fallback */
        ConfigText cmdline;
        bool attempted;     /* an initrd has set the pool up, or tried to: */
        ConfigText initrd;  /* by the text of this Config, */
        ConfigText refused; /* with the text of these Refusals */
} ConfigSources;

/* Finds the sources of the system below root, "" for this one: the credentials in the directory credentials
 * (NULL: not passed on) or, but for the initrd, as the generator has copied them; the kernel command line, or
 * $SYSTEMD_PROC_CMDLINE, as systemd's generators have it in tests; and what an initrd has left. The caller
 * calls config_sources_done(). */
void config_find_sources(ConfigSources *s, const char *root, const char *credentials, bool in_initrd);

void config_sources_done(ConfigSources *s);

/* Reads all of that, in the order of config files, credentials, command line. The credential ccvm.fallback
 * comes last and so wins; a word in it that Fallback= does not take, or none to be read, counts as "fail".
 * With sources->initrd only Mounts= and NixStore= can still be changed; for all else that differs the
 * initrd's word stands, and the other is refused. Where that word is lost, Fallback= is fail. The caller
 * calls config_done(). */
void config_load(Config *c, const ConfigSources *sources);

/* Reads c->text back from the file at path. What is no such text is damaged, and counts as VmDisk=yes with
 * what an unreadable text counts as: -EBADMSG, or the errors of file_read(). The caller calls config_done().
 */
int config_load_text(Config *c, const char *path);

/* Returns what is done without the disk. What fails in a running system takes nothing from it: it stays in
 * the RAM that it had. */
Fallback config_fallback(const Config *c);

void config_done(Config *c);

/* The options: their names, what they accept, and what they do to a Config (options.c). */

typedef struct Option Option;

struct Option {
        const char *key;  /* in [Scratch] */
        const char *name; /* behind "ccvm." on the kernel command line */
        /* Returns false for a bad value, and c is as it was. Of a list it takes what it can: then value
         * becomes what was taken, and what was not is in c->refused. */
        bool (*parse)(Config *c, const Option *o, char *value);
        const char *const *words; /* that it takes, with a NULL behind them; or NULL, and */
        const char *accepts;      /* what it takes instead, in words for people */
        const char *fallback;     /* the default */
        size_t offset;            /* of the field, for the parsers that serve several */
};

extern const Option config_options[_OPTION_MAX];

/* Returns the index of the option with this key in [Scratch], or for the kernel command line with this name
 * behind "ccvm.", its own or the key in lower case with "_" between its words; "-" and "_" are the same
 * there. -ENOENT. */
int option_find(const char *word, bool for_cmdline);

/* Lists what it takes, for people. The caller frees it. */
char *option_accepts(const Option *o);

/* Returns whether it is a boolean, which without a value means yes, as everywhere on the command line. */
bool option_is_boolean(const Option *o);

/* Frees what the parsers have put into c. */
void options_done(Config *c);
