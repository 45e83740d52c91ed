// SPDX-License-Identifier: GPL-2.0-only
/*
 * Module parameters: parsed once, when the module is loaded.
 */
#define pr_fmt(fmt) "pmem_tier: " fmt

#include <linux/device.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "core.h"

/* What param_set_charp() takes; it answers ENOSPC where everybody else says EINVAL. */
#define PARAM_MAX	1024

static char *claim;

static int claim_set(const char *val, const struct kernel_param *kp)
{
	const char *item = val, *end;
	unsigned int region, nr;
	char tail;

	if (strlen(val) > PARAM_MAX)
		goto bad;
	/* "all", or names of namespaces with nothing in between but commas. */
	while (*val && !sysfs_streq(val, "all")) {
		char name[32];

		end = strchrnul(item, ',');
		if (end - item >= sizeof(name))
			goto bad;
		strscpy(name, item, end - item + 1);
		strim(name);
		if (sscanf(name, "namespace%u.%u%c", &region, &nr, &tail) != 2)
			goto bad;
		if (!*end)
			break;
		item = end + 1;
	}
	return param_set_charp(val, kp);
bad:
	pr_err("claim=%.200s: not accepted: expected \"all\", or names such as namespace0.0 separated by commas\n",
	       val);
	return -EINVAL;
}

static const struct kernel_param_ops claim_ops = {
	.set = claim_set,
	.get = param_get_charp,
	.free = param_free_charp,
};
module_param_cb(claim, &claim_ops, &claim, 0444);
MODULE_PARM_DESC(claim,
		 "Namespaces to claim: namespace0.0,namespace1.0,... or all (default: none)");

bool tier_force;
module_param_named(force, tier_force, bool, 0444);
MODULE_PARM_DESC(force,
		 "Claim a namespace although it carries a filesystem, BTT, pfn/dax or other signature. ITS DATA IS LOST (default: 0)");

static const char * const memmap_names[] = {
	[MEMMAP_RAM] = "ram",
	[MEMMAP_PMEM] = "pmem",
	[MEMMAP_AUTO] = "auto",
};

static int memmap = MEMMAP_AUTO;

static int memmap_set(const char *val, const struct kernel_param *kp)
{
	int policy = sysfs_match_string(memmap_names, val);

	if (policy < 0) {
		pr_err("memmap=%.200s: not accepted: expected ram, pmem or auto\n",
		       val);
		return -EINVAL;
	}
	memmap = policy;
	return 0;
}

static int memmap_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%s\n", memmap_names[memmap]);
}

static const struct kernel_param_ops memmap_ops = {
	.set = memmap_set,
	.get = memmap_get,
};
module_param_cb(memmap, &memmap_ops, NULL, 0444);
MODULE_PARM_DESC(memmap,
		 "Where the memory map of a namespace goes: ram, pmem or auto (default: auto = pmem when it takes more than 2% of the DRAM available)");

/**
 * tier_param_memmap() - the operator's memmap policy
 *
 * Return: the policy.
 */
enum memmap_policy tier_param_memmap(void)
{
	return memmap;
}

static const char * const wipe_names[] = {
	[WIPE_NONE] = "none",
	[WIPE_RELEASE] = "release",
	[WIPE_FREE] = "free",
};

static int wipe = WIPE_RELEASE;

static int wipe_set(const char *val, const struct kernel_param *kp)
{
	int policy = sysfs_match_string(wipe_names, val);

	if (policy < 0) {
		pr_err("wipe=%.200s: not accepted: expected none, release or free\n",
		       val);
		return -EINVAL;
	}
	wipe = policy;
	return 0;
}

static int wipe_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%s\n", wipe_names[wipe]);
}

static const struct kernel_param_ops wipe_ops = {
	.set = wipe_set,
	.get = wipe_get,
};
module_param_cb(wipe, &wipe_ops, NULL, 0444);
MODULE_PARM_DESC(wipe,
		 "When what was in a page is overwritten: none, release (of the namespace; after a crash before it is used again) or free (default: release)");

/**
 * tier_param_wipe() - the operator's wipe policy
 *
 * Return: the policy.
 */
enum wipe_policy tier_param_wipe(void)
{
	return wipe;
}

/**
 * tier_memmap_name() - name of a memmap policy
 * @policy: the policy
 *
 * Return: its name, as in the parameter.
 */
const char *tier_memmap_name(enum memmap_policy policy)
{
	return memmap_names[policy];
}

/**
 * tier_param_claims_by_name() - does "claim" name this namespace?
 * @name: name of the namespace device
 *
 * Return: true when it does.
 */
bool tier_param_claims_by_name(const char *name)
{
	size_t len = strlen(name);
	const char *p = claim;

	while (p && *p) {
		const char *end = strchrnul(p, ',');

		p = skip_spaces(p);
		if (!strncmp(p, name, len) &&
		    skip_spaces(p + len) >= end)
			return true;
		p = *end ? end + 1 : end;
	}
	return false;
}

/**
 * tier_param_claims() - does "claim" cover this device?
 * @name: name of a device on the nd bus
 *
 * Return: true when it is to be claimed as it appears.
 */
bool tier_param_claims(const char *name)
{
	if (claim && sysfs_streq(claim, "all"))
		return str_has_prefix(name, "namespace");
	return tier_param_claims_by_name(name);
}

static int report_one(struct device *dev, void *data)
{
	/* Keeps the driver. */
	device_lock(dev);
	if (tier_param_claims(dev_name(dev)) && dev->driver &&
	    dev->driver != &tier_nd_driver.drv)
		pr_warn("%s: not claimed: driver %s has it; to hand it over: echo %s > /sys/bus/nd/drivers/%s/unbind; echo %s > /sys/bus/nd/drivers/pmem_tier/bind\n",
			dev_name(dev), dev->driver->name, dev_name(dev),
			dev->driver->name, dev_name(dev));
	device_unlock(dev);
	return 0;
}

/**
 * tier_param_report_unclaimed() - say which namespaces were named in vain
 * @bus: the nd bus
 *
 * One that doesn't exist may still appear; one that has a driver will not come
 * by itself.
 *
 * Context: process context.
 */
void tier_param_report_unclaimed(const struct bus_type *bus)
{
	bus_for_each_dev(bus, NULL, NULL, report_one);
}
