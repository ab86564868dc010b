/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "program.h"

#include "escape.h"
#include "log.h"

int program_print_mount(const DirSpec *d, FILE *f) {
        _cleanup_free_ char *spec = dirspec_format(d), *option = NULL, *word = NULL;

        if (!spec || asprintf(&option, "--mount=%s", spec) < 0)
                return log_oom();
        word = exec_escape(option);
        if (!word)
                return log_oom();
        fprintf(f, " \\\n        %s", word);
        return 0;
}

int program_print_directories(const Config *c, FILE *f) {
        for (size_t i = 0; i < c->n_mounts; i++) {
                int r = program_print_mount(&c->mounts[i], f);
                if (r < 0)
                        return r;
        }
        if (!streq(c->nix_store, "no"))
                fprintf(f, " \\\n        --nix-store=%s", c->nix_store);
        fputs("\n", f);
        return 0;
}

void program_print_relabel(const Config *c, const char *key, FILE *f) {
        fprintf(f, "%s=-restorecon -i", key);
        for (size_t i = 0; i < c->n_mounts; i++) {
                _cleanup_free_ char *word = exec_escape(c->mounts[i].path);
                fprintf(f, " %s", word ?: "/");
        }
        fputs("\n", f);
        if (!streq(c->nix_store, "no"))
                fprintf(f, "%s=-restorecon -i -R /nix/.rw-store\n", key);
}

bool program_relabels(const Writer *w) {
        _cleanup_free_ char *path = NULL;

        return !writer_in_initrd(w) && asprintf(&path, "%s/sys/fs/selinux/enforce", w->root) >= 0 &&
               access(path, F_OK) >= 0;
}

void program_print_set_up(const Config *c, FILE *f) {
        fprintf(f,
                " \\\n"
                "        --serial=%s \\\n"
                "        --file-system=%s \\\n"
                "        --header=%s \\\n"
                "        --integrity=%s \\\n"
                "        --discard=%s",
                c->serial, c->file_system, c->header, c->integrity, c->discard ? "yes" : "no");
        if (c->hotplug)
                fputs(" \\\n        --bind", f);
}

const char *program_fallback_mode(const Config *c) {
        return c->hotplug ? "none" : c->vm_disk ? c->fallback : "tmpfs";
}

void program_print_fallback(const Config *c, FILE *f) {
        _cleanup_free_ char *size = specifier_escape(c->fallback_size);

        fprintf(f,
                " \\\n"
                "        --mode=%s \\\n"
                "        --size=%s",
                program_fallback_mode(c), size ?: "50%%");
}

int program_finish(const Writer *w, const char *name, bool relabel, FILE *f) {
        int r = program_print_directories(w->config, f);

        if (relabel && program_relabels(w))
                program_print_relabel(w->config, "ExecStartPost", f);
        return unit_close(f, name) < 0 ? -EIO : r;
}
