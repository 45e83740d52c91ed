// SPDX-License-Identifier: GPL-2.0-only
/*
 * bind and unbind of the driver in sysfs, in a form that can refuse.
 *
 * The driver core's own unbind can't fail: it would take a namespace from
 * under an active swap device. These files have the same names and place, so
 * ndctl and everybody's scripts work, and EBUSY means that nothing happened.
 */
#define pr_fmt(fmt) "pmem_tier: " fmt

#include <linux/device.h>
#include <linux/mutex.h>
#include <linux/string.h>

#include "core.h"

/*
 * Serialises explicit binds, and protects bind_dev while one runs. Outermost:
 * taken before any device lock.
 */
static DEFINE_MUTEX(bind_lock);

/* The device that is being bound by name; probe runs in the same context. */
static const struct device *bind_dev;

/**
 * tier_bind_requested() - is this probe one that the operator asked for?
 * @dev: the device that is probed
 *
 * Context: any.
 * Return: true when the bind file is at work on this device.
 */
bool tier_bind_requested(const struct device *dev)
{
	return READ_ONCE(bind_dev) == dev;
}

static struct device *find_namespace(const struct device_driver *drv,
				     const char *buf)
{
	char name[32];

	/* Names of namespaces are short. */
	if (strscpy(name, skip_spaces(buf)) < 0)
		return NULL;
	return bus_find_device_by_name(drv->bus, NULL, strim(name));
}

static ssize_t bind_store(struct device_driver *drv, const char *buf,
			  size_t count)
{
	struct device *dev = find_namespace(drv, buf);
	int err = -ENODEV;

	if (dev && drv->bus->match(dev, drv)) {
		err = mutex_lock_interruptible(&bind_lock);
		if (err)
			goto out;
		WRITE_ONCE(bind_dev, dev);
		err = device_driver_attach(drv, dev);
		WRITE_ONCE(bind_dev, NULL);
		mutex_unlock(&bind_lock);
	}
out:
	put_device(dev);
	return err ?: count;
}

static ssize_t unbind_store(struct device_driver *drv, const char *buf,
			    size_t count)
{
	struct device *dev = find_namespace(drv, buf);
	int err = -ENODEV;

	/* tier_quiesce() looks whether it still is. */
	if (dev && READ_ONCE(dev->driver) == drv) {
		err = mutex_lock_interruptible(&bind_lock);
		if (err)
			goto out;
		err = tier_quiesce(dev);
		if (!err)
			device_release_driver(dev);
		else if (err == -EBUSY)
			pr_err("%s: not given back: it is in use (swapoff, or close the device, first)\n",
			       dev_name(dev));
		mutex_unlock(&bind_lock);
	}
out:
	put_device(dev);
	return err ?: count;
}

static struct driver_attribute driver_attr_bind =
	__ATTR_IGNORE_LOCKDEP(bind, 0200, NULL, bind_store);
static struct driver_attribute driver_attr_unbind =
	__ATTR_IGNORE_LOCKDEP(unbind, 0200, NULL, unbind_store);

static struct attribute *driver_attrs[] = {
	&driver_attr_bind.attr,
	&driver_attr_unbind.attr,
	NULL,
};

static const struct attribute_group driver_group = {
	.attrs = driver_attrs,
};

const struct attribute_group *tier_driver_groups[] = {
	&driver_group,
	NULL,
};
