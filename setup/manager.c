/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <systemd/sd-bus.h>

#include "clock.h"
#include "escape.h"

#define PAUSE_USEC 10000U
#define DESTINATION "org.freedesktop.systemd1"

/* There may be no bus. */
static int connect_to_manager(sd_bus **ret) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        int r;

        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_address(bus, "unix:path=/run/systemd/private");
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r >= 0)
                *ret = TAKE_PTR(bus);
        return r;
}

#define MANAGER DESTINATION, "/org/freedesktop/systemd1", DESTINATION ".Manager"

/* The manager has a job as an object for as long as it is not done. */
int manager_run(const char *unit) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        const char *job;
        int r;

        r = connect_to_manager(&bus);
        if (r >= 0)
                r = sd_bus_call_method(bus, MANAGER, "StartUnit", NULL, &reply, "ss", unit, "replace");
        if (r >= 0)
                r = sd_bus_message_read(reply, "o", &job);
        if (r < 0)
                return r;
        for (;;) {
                _cleanup_free_ char *state = NULL;
                if (sd_bus_get_property_string(bus, DESTINATION, job, DESTINATION ".Job", "State", NULL,
                                               &state) < 0)
                        return 0;
                (void) usleep(PAUSE_USEC);
        }
}

bool manager_is_there(void) {
        return access("/run/systemd/private", F_OK) >= 0;
}

int manager_power_off(void) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        int r = connect_to_manager(&bus);

        return r < 0 ? r : sd_bus_call_method(bus, MANAGER, "PowerOff", NULL, NULL, NULL);
}

/* One question of many, none of which may take longer than all of them. */
static int ask(sd_bus *bus, const char *path, const char *interface, const char *property, uint64_t end,
               char **ret) {
        uint64_t now = now_usec();

        if (now >= end)
                return -ETIMEDOUT;
        (void) sd_bus_set_method_call_timeout(bus, end - now);
        return sd_bus_get_property_string(bus, DESTINATION, path, interface, property, NULL, ret);
}

/* Until a property of the unit for name is the word. */
static int wait_for(const char *name, const char *suffix, const char *interface, const char *property,
                    const char *word, uint64_t end) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        _cleanup_free_ char *unit = NULL, *path = NULL;
        int r;

        r = unit_name_from_path(name, suffix, &unit);
        if (r >= 0)
                r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path);
        if (r >= 0)
                r = connect_to_manager(&bus);
        while (r >= 0) {
                _cleanup_free_ char *value = NULL;

                r = ask(bus, path, interface, property, end, &value);
                if (r >= 0 && streq(value, word))
                        return 0;
                (void) usleep(PAUSE_USEC);
        }
        return r;
}

int manager_wait_for_device(const char *node, uint64_t end) {
        _cleanup_free_ char *link = NULL, *path = NULL;
        struct stat st;

        if (stat(node, &st) < 0)
                return -errno;
        if (asprintf(&link, "/sys/dev/block/%u:%u", major(st.st_rdev), minor(st.st_rdev)) < 0)
                return -ENOMEM;
        path = realpath(link, NULL);
        return path ? wait_for(node, ".device", DESTINATION ".Device", "SysFSPath", path, end) : -errno;
}

int manager_wait_for_mount(const char *where, const char *what, uint64_t end) {
        return wait_for(where, ".mount", DESTINATION ".Mount", "What", what, end);
}
