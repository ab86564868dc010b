/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A config file, as libeconf and then this project read it. */

#include <fcntl.h>
#include <sys/stat.h>

#include "config-check.h"
#include "fuzz.h"

static char root[] = "/tmp/ccvm-fuzz-XXXXXX";
static char path[sizeof(root) + 32];

static void remove_root(void) {
        char *slash;

        (void) unlink(path);
        while ((slash = strrchr(path, '/')) > path + strlen("/tmp")) {
                *slash = 0;
                (void) rmdir(path);
        }
}

/* Once, for all inputs. */
static void make_root(void) {
        if (path[0])
                return;
        CHECK(mkdtemp(root));
        snprintf(path, sizeof(path), "%s/etc", root);
        CHECK(mkdir(path, 0755) >= 0);
        snprintf(path, sizeof(path), "%s/etc/ccvm-scratch.conf", root);
        CHECK(atexit(remove_root) == 0);
}

void fuzz_target(const char *text, size_t size) {
        _cleanup_(config_done) Config c = {}, defaults = {};

        make_root();
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        CHECK(fd >= 0 && write(fd, text, size) == (ssize_t) size);
        safe_close(fd);

        CHECK(config_load(&c, root, NULL, "") == 0);
        config_check(&c);
        config_done(&c);

        /* The command line has the last word. */
        CHECK(config_load(&c, root, NULL, "ccvm.vm_disk=0 ccvm.serial=s ccvm.mounts=/m ccvm.nix=upper") ==
              0);
        config_check(&c);
        CHECK(!c.vm_disk && streq(c.serial, "s") && streq(c.nix_store, "upper"));
        CHECK(c.n_mounts == 1 && streq(c.mounts[0].path, "/m"));
}
