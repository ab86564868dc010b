/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "cloud-hypervisor.h"

/* Where an option's value is: the argument's index and the offset in it, 0 for "--option VALUE". */
typedef struct Place {
        size_t index;
        size_t offset;
} Place;

/* Finds "--name VALUE" or "--name=VALUE", the last one. */
static bool find_option(char *const *command, const char *name, Place *ret) {
        bool found = false;

        for (size_t i = 0; command[i]; i++) {
                const char *rest = startswith(command[i], name);

                if (!rest || (*rest != '=' && (*rest != '\0' || !command[i + 1])))
                        continue;
                *ret = *rest ? (Place) { i, rest + 1 - command[i] } : (Place) { i + 1, 0 };
                found = true;
        }
        return found;
}

bool cloud_hypervisor_has_cmdline(char *const *command) {
        Place place;

        return find_option(command, "--cmdline", &place);
}

/* --disk takes several values: ours becomes the last of them, so that the user's disks keep their names. */
static int attach_disk(Argv *command, int fd) {
        _cleanup_free_ char *value = NULL;
        Place place;
        size_t at;

        if (asprintf(&value, "path=/proc/self/fd/%i,image_type=raw,serial=" VMM_DISK_SERIAL, fd) < 0)
                return -ENOMEM;
        if (!find_option(command->v, "--disk", &place))
                return argv_add(command, "--disk", value);
        for (at = place.index + 1; at < command->n && !startswith(command->v[at], "-");)
                at++;
        return argv_insert(command, at, value);
}

static int extend_cmdline(Argv *command) {
        _cleanup_free_ char *cmdline = NULL;
        Place place;
        char *s;
        int r;

        if (!find_option(command->v, "--cmdline", &place))
                return argv_add(command, "--cmdline", VMM_CMDLINE_OPTION);
        r = vmm_extend_cmdline(command->v[place.index] + place.offset, &cmdline);
        if (r < 0)
                return r;
        if (asprintf(&s, "%.*s%s", (int) place.offset, command->v[place.index], cmdline) < 0)
                return -ENOMEM;
        argv_replace(command, place.index, s);
        return 0;
}

/* oem_strings is a list in brackets, into which ours goes first, or one string without. */
static int extend_platform(Argv *command) {
        static const char oem[] = "oem_strings=", ours[] = "io.systemd.credential:" VMM_CREDENTIAL_NAME "=1";
        const char *value, *strings, *rest;
        Place place;
        char *s;
        int r;

        if (!find_option(command->v, "--platform", &place)) {
                r = argv_add(command, "--platform");
                return r < 0 ? r : argv_addf(command, "%s[%s]", oem, ours);
        }
        value = command->v[place.index];
        strings = strstr(value + place.offset, oem);
        if (!strings)
                r = asprintf(&s, "%s,%s[%s]", value, oem, ours);
        else {
                rest = strings + strlen(oem);
                if (*rest == '[')
                        r = asprintf(&s, "%.*s[%s,%s", (int) (rest - value), value, ours, rest + 1);
                else
                        r = asprintf(&s, "%.*s[%s,%.*s]%s", (int) (rest - value), value, ours,
                                     (int) strcspn(rest, ","), rest, rest + strcspn(rest, ","));
        }
        if (r < 0)
                return -ENOMEM;
        argv_replace(command, place.index, s);
        return 0;
}

int cloud_hypervisor_attach(Argv *command, const VmmRequest *request) {
        VmmMarker marker = request->marker;
        int r;

        if (marker == VMM_MARKER_AUTO)
                marker =
                        cloud_hypervisor_has_cmdline(command->v) ? VMM_MARKER_APPEND : VMM_MARKER_CREDENTIAL;
        r = attach_disk(command, request->image_fd);
        if (r >= 0 && marker == VMM_MARKER_APPEND)
                r = extend_cmdline(command);
        if (r >= 0 && marker == VMM_MARKER_CREDENTIAL)
                r = extend_platform(command);
        return r;
}
