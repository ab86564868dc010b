/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The units that come of a command line: only lines that the generator has a reason to write, and in them,
 * as systemd reads them, exactly what was asked for. */

#include <dirent.h>
#include <ftw.h>

#include "config-check.h"
#include "fileio.h"
#include "fuzz.h"
#include "systemd.h"
#include "services.h"

static char directory[] = "/tmp/ccvm-fuzz-XXXXXX";

static int on_entry(const char *path, const struct stat *st, int type, struct FTW *where) {
        return where->level > 0 ? remove(path) : 0;
}

static void empty_directory(void) {
        CHECK(nftw(directory, on_entry, 8, FTW_DEPTH | FTW_PHYS) == 0);
}

static void remove_directory(void) {
        empty_directory();
        (void) rmdir(directory);
}

/* Once, for all inputs. */
static void make_directory(void) {
        static bool made;

        if (made)
                return;
        CHECK(mkdtemp(directory) && atexit(remove_directory) == 0);
        made = true;
}

static char *read_unit(const char *name) {
        _cleanup_free_ char *path = NULL;
        char *text = NULL;

        CHECK(asprintf(&path, "%s/%s", directory, name) >= 0);
        CHECK(file_read(path, 16384, &text) == 0);
        return text;
}

/* What any unit of ours may consist of. */
static void check_line(const char *line) {
        static const char *const beginnings[] = {
                "# ",
                "[Unit]",
                "[Mount]",
                "[Service]",
                "Description=Scratch Pool on /",
                "What=/",
                "Where=/",
                "Type=none",
                "Wants=",
                "Options=bind",
                "After=",
                "Before=",
                "ExecStart=",
                "ConditionPathIsDirectory=/",
                "ConditionPathIsMountPoint=/run/ccvm-scratch/pool",
                "ConditionPathIsReadWrite=|/sysroot",
                "ConditionPathIsDirectory=|/sysroot/",
                "ConditionPathExists=/dev/disk/by-id/virtio-",
                "ConditionPathExists=!/sysroot/",
                "ConditionDirectoryNotEmpty=/sysroot/nix/.ro-store",
                "WantsMountsFor=/",
                "Type=oneshot",
                "Type=overlay",
                "RemainAfterExit=yes",
                "Description=Scratch Pool in a System That Does Not Mount It Itself",
                "What=overlay",
                "RequiresMountsFor=/",
                "Options=lowerdir=/",
                "JobRunningTimeoutSec=",
                "TimeoutStartSec=",
                "FailureAction=poweroff-force",
                "Description=Writable Overlay",
                "Documentation=man:",
                "DefaultDependencies=no",
        };

        for (const char *p = line; *p; p++)
                CHECK(*p >= ' ' && *p <= '~');
        if (!*line)
                return;
        for (size_t i = 0; i < ELEMENTSOF(beginnings); i++)
                if (startswith(line, beginnings[i]))
                        return;
        CHECK(!"a line that no unit of ours has");
}

static void check_lines(const char *text) {
        _cleanup_free_ char *copy = strdup(text);
        char *rest = copy;

        CHECK(copy && text[0] && text[strlen(text) - 1] == '\n');
        for (char *line; (line = strsep(&rest, "\n"));)
                check_line(line);
}

/* The value of the only such line, as systemd reads it. The caller frees it. */
static char *get_value(const char *text, const char *key) {
        _cleanup_free_ char *value = NULL;

        const char *found = strstr(text, key);
        CHECK(found && !strstr(found + 1, key));
        found += strlen(key);
        value = strndup(found, strcspn(found, "\n"));
        CHECK(value);
        char *expanded = systemd_expand_specifiers(value);
        CHECK(expanded);
        return expanded;
}

/* The unit named after its own mount point, on what was asked for. */
static void check_bind(const char *name, const char *sysroot, const char *source, const char *where) {
        _cleanup_free_ char *text = read_unit(name), *path = NULL, *what = get_value(text, "\nWhat="),
                            *to = get_value(text, "\nWhere="), *expected = NULL;

        check_lines(text);
        path = systemd_unescape_path(name, strlen(name) - strlen(".mount"));
        CHECK(path && streq(path, to));
        CHECK(asprintf(&expected, "%s%s", sysroot, where) >= 0 && streq(to, expected));
        const char *below = startswith(what, "/run/ccvm-scratch/pool");
        CHECK(below && streq(below, source));
}

/* The program finds the options itself: nothing of them is on its command line. */
static void check_service(const char *name, const char *command) {
        _cleanup_free_ char *text = read_unit(name);
        const char *line = strstr(text, "\nExecStart=/");

        check_lines(text);
        CHECK(command ? line && startswith(line + strlen("\nExecStart="), command) : !line);
}

/* Finds each mount's unit without the code that has named it. In the initrd the program mounts instead. */
static void check_mounts(const Config *c, const char *sysroot) {
        DIR *dir = opendir(directory);
        size_t binds = 0;

        CHECK(dir);
        for (struct dirent *e; (e = readdir(dir));) {
                size_t l = strlen(e->d_name);
                CHECK(e->d_name[0] == '.' || e->d_type == DT_DIR || systemd_unit_name_is_valid(e->d_name));
                if (e->d_type != DT_REG || l < 6 || !streq(e->d_name + l - 6, ".mount"))
                        continue;
                _cleanup_free_ char *path = systemd_unescape_path(e->d_name, l - 6);
                const char *where = path ? startswith(path, sysroot) : NULL;
                CHECK(where);
                for (size_t i = 0; i < c->n_mounts; i++)
                        if (streq(where, c->mounts[i].path)) {
                                check_bind(e->d_name, sysroot, where, where);
                                binds++;
                        }
                if (streq(where, "/nix/.rw-store"))
                        check_bind(e->d_name, sysroot, "/nix", where);
        }
        closedir(dir);
        CHECK(binds == (c->hotplug || *sysroot ? 0 : c->n_mounts));
}

void fuzz_target(const char *text, size_t size) {
        _cleanup_(config_done) Config c = {};
        const char *sysroot = size % 2 == 0 ? "/sysroot" : "";

        config_load_sources(&c, NULL, "1", text);
        make_directory();
        Writer w = {
                .config = &c,
                .directory = directory,
                .root = "/nonexistent",
                .sysroot = sysroot,
                .claims = &(Claims) {},
        };
        units_write(&w);
        CHECK(!w.failed);
        if (c.vm_disk)
                check_service("ccvm-scratch-luks.service.d/50-ccvm-scratch.conf", NULL);
        if (!c.hotplug)
                check_service("ccvm-scratch-tmpfs.service.d/50-ccvm-scratch.conf", NULL);
        check_mounts(&c, sysroot);
        if (*sysroot && !c.hotplug && c.n_mounts > 0)
                check_service("ccvm-scratch-mounts.service",
                              "/usr/lib/ccvm-scratch/ccvm-scratch-setup mount --root=/sysroot\n");
        empty_directory();
}
