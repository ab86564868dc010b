/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "mapping.h"

#include <inttypes.h>
#include <libdevmapper.h>
#include <sys/sysmacros.h>

#define CONTROL "/dev/mapper/control"

DEFINE_TRIVIAL_CLEANUP_FUNC(struct dm_task *, dm_task_destroy)
#define _cleanup_task_ _cleanup_(dm_task_destroyp)

/* Errors are returned, and logged by who gets them. */
static void on_log(int level, const char *file, int line, int error, const char *format, ...) {
}

/* Prepares a request about a mapping. NULL if libdevmapper cannot reach the kernel, or if there is no
 * memory. */
static struct dm_task *make_task(int type, const char *name) {
        _cleanup_task_ struct dm_task *task = NULL;

        dm_log_with_errno_init(on_log);
        task = dm_task_create(type);
        if (!task || !dm_task_set_name(task, name))
                return NULL;
        return TAKE_PTR(task);
}

/* Runs a request. Where there is no such mapping some fail with ENXIO, and some only say so. */
static int run(struct dm_task *task) {
        struct dm_info info;

        if (!task)
                return -EOPNOTSUPP;
        if (!dm_task_run(task)) {
                int e = dm_task_get_errno(task) ?: EIO;
                return e == ENXIO ? -ENODEV : -e;
        }
        return dm_task_get_info(task, &info) && !info.exists ? -ENODEV : 0;
}

/* Runs a request after which udev makes or removes names, and waits for that. udev looks for nothing on the
 * mapping, as on what libcryptsetup calls private. */
static int run_with_udev(struct dm_task *task) {
        uint32_t cookie = 0;
        int r;

        if (!dm_task_set_cookie(task, &cookie,
                                DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG | DM_UDEV_DISABLE_DISK_RULES_FLAG |
                                        DM_UDEV_DISABLE_OTHER_RULES_FLAG))
                return -EIO;
        r = run(task);
        (void) dm_udev_wait(cookie);
        return r;
}

void mapping_explain(const char *type, Failure *f) {
        _cleanup_task_ struct dm_task *task = make_task(DM_DEVICE_GET_TARGET_VERSION, type);
        const char *detail = f->detail ?: "no detail";

        if (!task && access(CONTROL, F_OK) < 0)
                (void) failure_set(f, f->reason, 0,
                                   "There is no " CONTROL ", by which device-mapper is reached: %s", detail);
        else if (!task || !dm_task_run(task))
                (void) failure_set(f, REASON_KERNEL, 0, "The kernel has no dm_%s: %s", task ? type : "mod",
                                   detail);
}

int mapping_create(const char *name, const Target *target, dev_t *ret) {
        _cleanup_task_ struct dm_task *task = make_task(DM_DEVICE_CREATE, name);
        struct dm_info info;
        int r;

        if (!task)
                return -EOPNOTSUPP;
        if (!dm_task_secure_data(task) ||
            !dm_task_add_target(task, target->start, target->length, target->type, target->params))
                return -ENOMEM;
        r = run_with_udev(task);
        if (r < 0)
                return r;
        if (!dm_task_get_info(task, &info))
                return -EIO;
        *ret = makedev(info.major, info.minor);
        return 0;
}

/* Reads the first target of a mapping, from its table or its status, into a task that the target is borrowed
 * from. If there is another one its type is NULL. Secure: libdevmapper wipes its buffers, as the key may be
 * in them. */
static int read_target(int request, const char *name, struct dm_task **ret_task, Target *ret) {
        _cleanup_task_ struct dm_task *task = make_task(request, name);
        char *type = NULL, *params = NULL;
        void *next;
        int r;

        if (task && !dm_task_secure_data(task))
                return -ENOMEM;
        r = run(task);
        if (r < 0)
                return r;
        next = dm_get_next_target(task, NULL, &ret->start, &ret->length, &type, &params);
        ret->type = next ? NULL : type;
        ret->params = params;
        *ret_task = TAKE_PTR(task);
        return 0;
}

int mapping_verify(const char *name, const Table *wanted, Failure *f) {
        _cleanup_task_ struct dm_task *task = NULL;
        const char *difference;
        Target target = {};
        int r;

        r = read_target(DM_DEVICE_TABLE, name, &task, &target);
        if (r < 0)
                return failure_set(f, REASON_VERIFY, r, "Failed to read the table of '%s'", name);
        difference = target.type ? table_difference(wanted, &target) : "single target";
        if (difference)
                return failure_set(f, REASON_VERIFY, 0, "The mapping '%s' has not the %s that was asked for",
                                   name, difference);
        return 0;
}

int mapping_get_count(const char *name, uint64_t *ret) {
        _cleanup_task_ struct dm_task *task = NULL;
        Target target = {};
        int r;

        r = read_target(DM_DEVICE_STATUS, name, &task, &target);
        if (r < 0)
                return r;
        return target.params && sscanf(target.params, "%" SCNu64, ret) == 1 ? 0 : -EINVAL;
}

/* Reads the length of the mapping in sectors; 0 if it was made and never had a table. */
static int read_length(const char *name, uint64_t *ret) {
        _cleanup_task_ struct dm_task *task = NULL;
        Target target = {};
        int r;

        r = read_target(DM_DEVICE_TABLE, name, &task, &target);
        *ret = target.length;
        return r;
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

int mapping_suspend(const char *name) {
        _cleanup_task_ struct dm_task *task = make_task(DM_DEVICE_SUSPEND, name);

        if (task && (!dm_task_skip_lockfs(task) || !dm_task_no_flush(task)))
                return -ENOMEM;
        return run(task);
}

static int load_error(const char *name) {
        _cleanup_task_ struct dm_task *task = make_task(DM_DEVICE_RELOAD, name);
        uint64_t length;
        int r;

        r = read_length(name, &length);
        if (r < 0)
                return r;
        if (!task || !dm_task_add_target(task, 0, length, "error", ""))
                return -ENOMEM;
        return run(task);
}

/* Without a new table it goes on with the old one. */
static int resume(const char *name) {
        _cleanup_task_ struct dm_task *task = make_task(DM_DEVICE_RESUME, name);

        if (task && (!dm_task_no_flush(task) || !dm_task_skip_lockfs(task)))
                return -ENOMEM;
        return run(task);
}

int mapping_replace_by_error(const char *name) {
        int loaded = load_error(name), resumed = resume(name);

        return loaded < 0 ? loaded : resumed;
}

int mapping_rename(const char *name, const char *to) {
        _cleanup_task_ struct dm_task *task = make_task(DM_DEVICE_RENAME, name);

        if (!task)
                return -EOPNOTSUPP;
        if (!dm_task_set_newname(task, to))
                return -ENOMEM;
        return run_with_udev(task);
}

int mapping_release(const char *name) {
        _cleanup_task_ struct dm_task *task = make_task(DM_DEVICE_REMOVE, name);
        int r;

        if (task && !dm_task_deferred_remove(task))
                return -ENOMEM;
        r = run(task);
        return r == -ENODEV ? 0 : r;
}

int mapping_close(const char *name) {
        uint64_t length;
        int r;

        r = read_length(name, &length);
        if (r < 0)
                return r == -ENODEV ? 0 : r;
        if (length > 0) {
                r = mapping_replace_by_error(name);
                if (r < 0)
                        return r;
        }
        return mapping_release(name);
}
