/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager.h"

#include <systemd/sd-bus.h>

#include "escape.h"

#define STEPS 500U
#define STEP_USEC 10000U
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

#define JOB_PAUSE_USEC 10000U

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
                (void) usleep(JOB_PAUSE_USEC);
        }
}

int manager_power_off(void) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        int r = connect_to_manager(&bus);

        return r < 0 ? r : sd_bus_call_method(bus, MANAGER, "PowerOff", NULL, NULL, NULL);
}

/* Until the last part of a property of the unit for name is the word. */
static int wait_for(const char *name, const char *suffix, const char *interface, const char *property,
                    const char *word) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        _cleanup_free_ char *unit = NULL, *path = NULL;
        int r;

        r = unit_name_from_path(name, suffix, &unit);
        if (r >= 0)
                r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path);
        if (r >= 0)
                r = connect_to_manager(&bus);
        for (unsigned i = 0; r >= 0 && i < STEPS; i++) {
                _cleanup_free_ char *value = NULL;
                const char *slash;

                r = sd_bus_get_property_string(bus, DESTINATION, path, interface, property, NULL, &value);
                slash = value ? strrchr(value, '/') : NULL;
                if (r >= 0 && streq(slash ? slash + 1 : value, word))
                        return 0;
                (void) usleep(STEP_USEC);
        }
        return r < 0 ? r : -ETIMEDOUT;
}

int manager_wait_for_mount(const char *node) {
        _cleanup_free_ char *real = realpath(node, NULL);

        return real ? wait_for(node, ".device", DESTINATION ".Device", "SysFSPath", strrchr(real, '/') + 1)
                    : -errno;
}

int manager_wait_for_unmount(const char *where) {
        return wait_for(where, ".mount", DESTINATION ".Unit", "ActiveState", "inactive");
}
