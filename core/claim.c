// SPDX-License-Identifier: GPL-2.0-only
/*
 * The libnvdimm driver: claim namespaces, refuse them, give them back.
 */
#define pr_fmt(fmt) "pmem_tier: " fmt

#include <linux/libnvdimm.h>
#include <linux/module.h>
#include <linux/ndctl.h>
#include <linux/slab.h>

#include "compat.h"
#include "core.h"

/* When bad blocks are looked for again. */
#define BADBLOCKS_RETRY	(HZ / 10)

/* From the physical range to a tier that isn't published yet. */
static int tier_set_up(struct tier_ns *ns)
{
	int err;

	err = tier_header_check(ns);
	if (err)
		return err;
	err = tier_range_map(ns);
	if (err)
		return err;
	err = tier_pool_init(ns);
	if (err)
		goto out_range;
	/* From here on tier_memory_failure() may use the pool. */
	smp_store_release(&ns->pool_ready, true);
	/* Pairs with the one in tier_memory_failure(): it marks the page, or it is found below. */
	smp_mb();
	err = tier_badblocks_apply(ns);
	if (err)
		goto out_range;
	tier_wipe_before_use(ns);
	err = tier_header_open(ns);
	if (err)
		goto out_range;
	err = tier_sysfs_add(ns);
	if (err)
		goto out_header;
	return 0;

out_header:
	tier_header_close(ns);
out_range:
	/* No tier_memory_failure() is running or to come after this. */
	tier_range_unmap(ns);
	if (ns->pool_ready)
		tier_pool_destroy(ns);
	return err;
}

/* The platform tells once: if there is no memory at that moment, there will be. */
static int look_for_badblocks(struct tier_ns *ns)
{
	int err = tier_badblocks_apply(ns);

	if (err)
		schedule_delayed_work(&ns->badblocks_work, BADBLOCKS_RETRY);
	return err;
}

static void badblocks_work(struct work_struct *work)
{
	look_for_badblocks(container_of(to_delayed_work(work), struct tier_ns,
					badblocks_work));
}

static int claim(struct device *dev)
{
	struct nd_namespace_common *ndns;
	struct nd_namespace_io *nsio;
	struct tier_ns *ns;
	int err;

	ndns = nvdimm_namespace_common_probe(dev);
	if (IS_ERR(ndns)) {
		/* "all" also meets libnvdimm's empty seed namespaces. */
		if (PTR_ERR(ndns) == -ENODEV && !tier_bind_requested(dev))
			return -ENODEV;
		pr_err("%s: refused: libnvdimm says it can't be used (claimed by a BTT, pfn or dax device, locked, misaligned or too small): error %ld\n",
		       dev_name(dev), PTR_ERR(ndns));
		/* -ENXIO is what it says when another view has the namespace. */
		return PTR_ERR(ndns) == -ENXIO ? -EBUSY : PTR_ERR(ndns);
	}
	/* BTT and pfn devices match as well, but are views of a namespace. */
	if (&ndns->dev != dev)
		return -ENODEV;

	err = tier_region_writable(dev->parent);
	if (err) {
		pr_err("%s: refused: %s is read-only, or can't say: error %d\n",
		       dev_name(dev), dev_name(dev->parent), err);
		return err;
	}

	nsio = to_nd_namespace_io(dev);
	if (resource_size(&nsio->res) < TIER_MIN_BYTES) {
		pr_err("%s: refused: %llu bytes is too small, at least %lu are needed\n",
		       dev_name(dev), (u64)resource_size(&nsio->res),
		       TIER_MIN_BYTES);
		return -EINVAL;
	}

	ns = kzalloc(sizeof(*ns), GFP_KERNEL);
	if (!ns)
		return -ENOMEM;
	tier_ns_init_kobj(ns);
	INIT_DELAYED_WORK(&ns->badblocks_work, badblocks_work);
	ns->tier.name = dev_name(dev);
	ns->tier.dev = dev;
	ns->tier.nid = dev_to_node(dev);
	if (ns->tier.nid == NUMA_NO_NODE)
		ns->tier.nid = numa_mem_id();
	ns->ndns = ndns;
	ns->phys = nsio->res.start;
	ns->size = resource_size(&nsio->res);
	ns->wipe = tier_param_wipe();

	err = tier_set_up(ns);
	if (err) {
		kobject_put(&ns->kobj);
		return err;
	}
	dev_set_drvdata(dev, ns);
	pr_info("%s: claimed %zu MiB: %lu pages, %lu bad, memory map in %s\n",
		ns->tier.name, ns->size >> 20, ns->tier.nr_pages,
		atomic_long_read(&ns->free.nr_retired),
		tier_memmap_name(ns->memmap));
	return tier_publish(ns);
}

static int tier_probe(struct device *dev)
{
	int err;

	/* Quietly: nobody asked for this one, and other drivers want to try. */
	if (!tier_bind_requested(dev) && !tier_param_claims(dev_name(dev)))
		return -ENODEV;
	err = tier_claim_begin(dev_name(dev));
	if (err)
		return err;
	err = claim(dev);
	tier_claim_end();
	return err;
}

static void tier_remove(struct device *dev)
{
	struct tier_ns *ns = dev_get_drvdata(dev);

	tier_withdraw(ns);
	tier_sysfs_del(ns);
	tier_wipe_after_use(ns);
	tier_header_close(ns);
	/* Nobody notifies us while we have the device's lock. */
	cancel_delayed_work_sync(&ns->badblocks_work);
	tier_range_unmap(ns);
	tier_pool_destroy(ns);
	dev_set_drvdata(dev, NULL);
	pr_info("%s: given back\n", ns->tier.name);
	kobject_put(&ns->kobj);
}

/* The platform learned of media errors, e.g. from a machine check. */
static void tier_notify(struct device *dev, enum nvdimm_event event)
{
	struct tier_ns *ns = dev_get_drvdata(dev);

	if (event == NVDIMM_REVALIDATE_POISON && ns && look_for_badblocks(ns))
		pr_warn("%s: no memory to look for new bad blocks yet\n",
			ns->tier.name);
}

struct nd_device_driver tier_nd_driver = {
	.probe = tier_probe,
	.remove = tier_remove,
	.notify = tier_notify,
	.drv = {
		.name = "pmem_tier",
		/* bind.c has a bind and unbind that can refuse. */
		.suppress_bind_attrs = true,
		.groups = tier_driver_groups,
	},
	.type = ND_DRIVER_NAMESPACE_IO | ND_DRIVER_NAMESPACE_PMEM,
};

/**
 * tier_claim_init() - register the driver and claim what the operator named
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative error.
 */
int tier_claim_init(void)
{
	int err = nd_driver_register(&tier_nd_driver);

	if (!err)
		tier_param_report_unclaimed(tier_nd_driver.drv.bus);
	return err;
}

/**
 * tier_claim_exit() - give back every namespace and unregister the driver
 *
 * Context: process context, may sleep.
 */
void tier_claim_exit(void)
{
	nd_driver_unregister(&tier_nd_driver);
}
