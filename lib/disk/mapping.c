/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "mapping.h"

#include <libdevmapper.h>
#include <sys/sysmacros.h>

#include "parse.h"

DEFINE_TRIVIAL_CLEANUP_FUNC(struct dm_task *, dm_task_destroy)
#define _cleanup_task_ _cleanup_(dm_task_destroyp)

/* Whoever asks says what has failed. */
static void on_log(int level, const char *file, int line, int error, const char *format, ...) {
}

/* A request about a mapping, yet to be run; NULL if out of memory. */
static struct dm_task *make_task(int type, const char *name) {
        _cleanup_task_ struct dm_task *task = NULL;

        dm_log_with_errno_init(on_log);
        task = dm_task_create(type);
        return task && dm_task_set_name(task, name) ? TAKE_PTR(task) : NULL;
}

/* What there is none of is -ENODEV: some requests fail then, and some only say so. */
static int run(struct dm_task *task) {
        struct dm_info info;

        if (!task)
                return -ENOMEM;
        if (!dm_task_run(task)) {
                int e = dm_task_get_errno(task) ?: EIO;
                return e == ENXIO ? -ENODEV : -e;
        }
        return dm_task_get_info(task, &info) && !info.exists ? -ENODEV : 0;
}

bool mapping_is_possible(void) {
        _cleanup_task_ struct dm_task *task = NULL;

        dm_log_with_errno_init(on_log);
        task = dm_task_create(DM_DEVICE_VERSION);
        return !task || dm_task_run(task);
}

bool mapping_has_target(const char *type) {
        _cleanup_task_ struct dm_task *task = make_task(DM_DEVICE_GET_TARGET_VERSION, type);

        return !task || dm_task_run(task);
}

int mapping_get_length(const char *name, uint64_t *ret) {
        _cleanup_task_ struct dm_task *task = make_task(DM_DEVICE_TABLE, name);
        uint64_t start, length = 0;
        char *type, *params;
        int r;

        /* Secure: the table may have the key in it, and libdevmapper wipes its buffers. */
        if (task && !dm_task_secure_data(task))
                return -ENOMEM;
        r = run(task);
        if (r < 0)
                return r;
        (void) dm_get_next_target(task, NULL, &start, &length, &type, &params);
        *ret = length;
        return 0;
}

int mapping_get_count(const char *name, uint64_t *ret) {
        _cleanup_task_ struct dm_task *task = make_task(DM_DEVICE_STATUS, name);
        uint64_t start, length;
        char *type, *params = NULL;
        int r;

        r = run(task);
        if (r < 0)
                return r;
        (void) dm_get_next_target(task, NULL, &start, &length, &type, &params);
        if (!params)
                return -EINVAL;
        params[strcspn(params, " ")] = 0;
        return parse_unsigned(params, UINT64_MAX, ret);
}

int mapping_is_in_use(const char *name) {
        _cleanup_task_ struct dm_task *task = make_task(DM_DEVICE_INFO, name);
        struct dm_info info;
        int r;

        r = run(task);
        if (r < 0)
                return r == -ENODEV ? 0 : r;
        return dm_task_get_info(task, &info) ? info.open_count > 0 : -EIO;
}

/* udev makes the names and looks for nothing on it, as of what libcryptsetup calls private. */
#define UDEV_FLAGS                                                                \
        (DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG | DM_UDEV_DISABLE_DISK_RULES_FLAG | \
         DM_UDEV_DISABLE_OTHER_RULES_FLAG)

static int read_number(struct dm_task *task, dev_t *ret) {
        struct dm_info info;

        if (!dm_task_get_info(task, &info))
                return -EIO;
        *ret = makedev(info.major, info.minor);
        return 0;
}

int mapping_create(const char *name, dev_t device, uint64_t length, dev_t *ret) {
        _cleanup_task_ struct dm_task *task = make_task(DM_DEVICE_CREATE, name);
        uint32_t cookie = 0;
        char params[32];
        int r;

        (void) snprintf(params, sizeof(params), "%u:%u 0", major(device), minor(device));
        if (!task || !dm_task_add_target(task, 0, length, "linear", params))
                return -ENOMEM;
        if (!dm_task_set_cookie(task, &cookie, UDEV_FLAGS))
                return -EIO;
        r = run(task);
        (void) dm_udev_wait(cookie);
        return r < 0 ? r : read_number(task, ret);
}

int mapping_get_number(const char *name, dev_t *ret) {
        _cleanup_task_ struct dm_task *task = make_task(DM_DEVICE_INFO, name);
        int r = run(task);

        return r < 0 ? r : read_number(task, ret);
}

int mapping_suspend(const char *name) {
        _cleanup_task_ struct dm_task *task = make_task(DM_DEVICE_SUSPEND, name);

        if (!task || !dm_task_skip_lockfs(task) || !dm_task_no_flush(task))
                return -ENOMEM;
        return run(task);
}

int mapping_fail(const char *name, uint64_t length) {
        _cleanup_task_ struct dm_task *reload = make_task(DM_DEVICE_RELOAD, name);
        _cleanup_task_ struct dm_task *resume = make_task(DM_DEVICE_RESUME, name);
        int r = -ENOMEM, q;

        if (reload && resume && dm_task_add_target(reload, 0, length, "error", "") &&
            dm_task_no_flush(resume) && dm_task_skip_lockfs(resume))
                r = run(reload);
        /* Without a new table it goes on with the old one. */
        q = run(resume);
        return r < 0 ? r : q;
}

int mapping_rename(const char *name, const char *to) {
        _cleanup_task_ struct dm_task *task = make_task(DM_DEVICE_RENAME, name);
        uint32_t cookie = 0;
        int r;

        if (!task || !dm_task_set_newname(task, to))
                return -ENOMEM;
        if (!dm_task_set_cookie(task, &cookie, UDEV_FLAGS))
                return -EIO;
        r = run(task);
        (void) dm_udev_wait(cookie);
        return r;
}

int mapping_remove(const char *name) {
        _cleanup_task_ struct dm_task *task = make_task(DM_DEVICE_REMOVE, name);
        int r;

        r = task && dm_task_deferred_remove(task) ? run(task) : -ENOMEM;
        return r == -ENODEV ? 0 : r;
}

int mapping_take_down(const char *name) {
        uint64_t length;
        int r;

        r = mapping_get_length(name, &length);
        if (r < 0)
                return r == -ENODEV ? 0 : r;
        if (length > 0)
                r = mapping_fail(name, length);
        return r < 0 ? r : mapping_remove(name);
}

static bool lies_on(const char *name, dev_t disk) {
        _cleanup_task_ struct dm_task *task = make_task(DM_DEVICE_DEPS, name);
        struct dm_deps *deps;

        if (run(task) < 0 || !(deps = dm_task_get_deps(task)))
                return false;
        for (unsigned i = 0; i < deps->count; i++)
                if (deps->device[i] == disk)
                        return true;
        return false;
}

int mapping_take_down_all(const char *prefix, dev_t disk) {
        _cleanup_task_ struct dm_task *task = dm_task_create(DM_DEVICE_LIST);
        struct dm_names *names;
        int r = 0;

        if (!task || !dm_task_run(task) || !(names = dm_task_get_names(task)))
                return -EIO;
        /* An empty list is one entry without a device; next is the distance to the next one in bytes. */
        for (; names->dev; names = (struct dm_names *) ((char *) names + names->next)) {
                if (startswith(names->name, prefix) && lies_on(names->name, disk)) {
                        int q = mapping_take_down(names->name);
                        r = r < 0 ? r : q;
                }
                if (names->next == 0)
                        break;
        }
        return r;
}
