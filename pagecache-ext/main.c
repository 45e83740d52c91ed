// SPDX-License-Identifier: GPL-2.0-only
/*
 * pmem_cachex: evicted page cache on persistent memory. Parameters, set-up and tear-down.
 */
#define pr_fmt(fmt) "pmem_cachex: " fmt

#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/suspend.h>
#include <linux/vmalloc.h>

#include "cachex.h"

/* What param_set_charp() takes; it answers ENOSPC where everybody else says EINVAL. */
#define PARAM_MAX	1024

static char *targets;

static int targets_set(const char *val, const struct kernel_param *kp)
{
	if (strlen(val) <= PARAM_MAX)
		return param_set_charp(val, kp);
	pr_err("targets=%.200s: not accepted: expected at most %d characters\n",
	       val, PARAM_MAX);
	return -EINVAL;
}

static const struct kernel_param_ops targets_ops = {
	.set = targets_set,
	.get = param_get_charp,
	.free = param_free_charp,
};
module_param_cb(targets, &targets_ops, &targets, 0444);
MODULE_PARM_DESC(targets,
		 "What takes part from the start, see the file targets in sysfs (default: nothing)");

struct workqueue_struct *cx_wq;

/* Without it nothing is stored. */
struct pmem_tier_feature cx_feature = { .name = "cachex" };

/*
 * cx_lock protects cx_tier_list, enable_later, and writing cx_tiers, enabled, cx_admission and
 * targets (without it they may only be taken away). Taken under tier_lock of core; drains run under
 * it.
 */
DEFINE_MUTEX(cx_lock);
LIST_HEAD(cx_tier_list);
struct cx_tiers __rcu *cx_tiers;
static bool enabled;

/* When the system won't hibernate any more, or has. */
static bool enable_later;

/**
 * cx_enabled() - is what is evicted taken?
 *
 * Context: any.
 * Return: true if so.
 */
bool cx_enabled(void)
{
	return READ_ONCE(enabled);
}

/*
 * Nobody takes pages from a tier that isn't in the list on return. Between two of them, in turn:
 * to give up a tier takes no memory.
 */
static void publish(void)
{
	static struct cx_tiers both[2];
	struct cx_tiers *new = &both[0];
	unsigned long pages = 0;
	struct cx_tier *ct;
	bool first;

	lockdep_assert_held(&cx_lock);
	if (rcu_access_pointer(cx_tiers) == new)
		new = &both[1];
	new->nr = 0;
	list_for_each_entry(ct, &cx_tier_list, node) {
		if (new->nr < CX_TIERS_MAX)
			new->tier[new->nr++] = ct;
		pages += ct->tier->nr_pages;
	}
	cx_admit_resize(pages);
	first = new->nr && !rcu_access_pointer(cx_tiers);
	if (first)
		cx_flush_prepare();
	rcu_assign_pointer(cx_tiers, new->nr ? new : NULL);
	if (first)
		cx_flush_prepared();
	/* And nobody reads the other one any more. */
	synchronize_rcu();
}

static long pages_bytes(const struct pmem_tier *tier)
{
	return PAGE_ALIGN(tier->nr_pages * sizeof(struct cx_page));
}

static int tier_add(struct pmem_tier *tier)
{
	struct cx_tier *ct = kzalloc(sizeof(*ct), GFP_KERNEL);

	if (!ct)
		return -ENOMEM;
	ct->pages = vzalloc_node(array_size(tier->nr_pages, sizeof(*ct->pages)),
				 tier->nid);
	if (!ct->pages) {
		kfree(ct);
		return -ENOMEM;
	}
	ct->tier = tier;
	ct->pause_until = jiffies;
	ct->none_until = jiffies;
	INIT_WORK(&ct->reclaim, cx_reclaim_work);
	tier->priv[PMEM_TIER_CACHE] = ct;
	mutex_lock(&cx_lock);
	list_add_tail(&ct->node, &cx_tier_list);
	publish();
	mutex_unlock(&cx_lock);
	pmem_tier_account_metadata(tier, pages_bytes(tier));
	cx_promote_start(ct);
	return 0;
}

/* Whether all pages are back then is for core to look at. */
static int tier_quiesce(struct pmem_tier *tier)
{
	struct cx_tier *ct = tier->priv[PMEM_TIER_CACHE];
	unsigned long left;

	mutex_lock(&cx_lock);
	list_del_init(&ct->node);
	publish();
	left = cx_drain(ct);
	mutex_unlock(&cx_lock);
	if (left)
		pr_info("%s: %lu pages of the page cache are in use: they go when they are let go of\n",
			tier->name, left);
	return 0;
}

static void tier_resume(struct pmem_tier *tier)
{
	struct cx_tier *ct = tier->priv[PMEM_TIER_CACHE];

	mutex_lock(&cx_lock);
	list_add_tail(&ct->node, &cx_tier_list);
	publish();
	mutex_unlock(&cx_lock);
}

static void tier_remove(struct pmem_tier *tier)
{
	struct cx_tier *ct = tier->priv[PMEM_TIER_CACHE];

	cx_promote_stop(ct);
	cancel_work_sync(&ct->reclaim);
	pmem_tier_account_metadata(tier, -pages_bytes(tier));
	vfree(ct->pages);
	kfree(ct);
}

/* A page goes back to the pool. */
static void page_freed(struct pmem_tier *tier, unsigned long index, bool used)
{
	const struct cx_tier *ct = tier->priv[PMEM_TIER_CACHE];
	unsigned int slot = READ_ONCE(ct->pages[index].target);

	cx_count(slot, CX_FREED, 1);
	if (used)
		cx_count(slot, CX_HITS, 1);
}

static struct pmem_tier_client client = {
	.name = "pmem_cachex",
	.user = PMEM_TIER_CACHE,
	.owner = THIS_MODULE,
	.add = tier_add,
	.quiesce = tier_quiesce,
	.resume = tier_resume,
	.remove = tier_remove,
	.long_pin = cx_long_pin,
	.poisoned = cx_poisoned,
	.give_back = cx_give_back,
	.freed = page_freed,
	.low = cx_low,
};

static int enable(void)
{
	int err;

	lockdep_assert_held(&cx_lock);
	err = cx_drop_init();
	if (!err)
		err = cx_small_enable();
	if (!err)
		err = pmem_tier_long_pin_enable(&cx_feature);
	if (!err)
		err = cx_flush_enable();
	if (err)
		return err;
	err = cx_evict_enable();
	if (err) {
		cx_flush_disable();
		return err;
	}
	pmem_tier_feature_on(&cx_feature);
	/* The cache does without. */
	cx_promote_enable();
	WRITE_ONCE(enabled, true);
	return 0;
}

/**
 * cx_enable() - begin to take what is evicted
 *
 * Context: process context, may sleep.
 * Return: 0; -EBUSY while the system hibernates; another negative error: the kernel lacks
 * what it takes.
 */
int cx_enable(void)
{
	int err;

	mutex_lock(&cx_lock);
	err = pmem_tier_hibernating() ? -EBUSY : enable();
	mutex_unlock(&cx_lock);
	return err;
}

/* For who has nobody to tell. What the kernel lacks, "features" says. */
static void enable_or_say(void)
{
	int err = enable();

	if (err && err != -EOPNOTSUPP)
		pr_err("not enabled: error %d; echo 1 >/sys/kernel/pmem_cachex/enabled tries again\n",
		       err);
}

static int drop_all(void)
{
	unsigned long left = 0;
	struct cx_tier *ct;

	lockdep_assert_held(&cx_lock);
	list_for_each_entry(ct, &cx_tier_list, node)
		left += cx_drain(ct);
	if (fatal_signal_pending(current))
		return -EINTR;
	return left ? -EBUSY : 0;
}

static int disable(void)
{
	lockdep_assert_held(&cx_lock);
	WRITE_ONCE(enabled, false);
	cx_evict_disable();
	cx_flush_disable();
	return drop_all();
}

/**
 * cx_disable() - take nothing any more, and drop all there is
 *
 * Context: process context, may sleep, for some seconds.
 * Return: 0; -EBUSY or -EINTR when pages are left, in use by somebody.
 */
int cx_disable(void)
{
	int err;

	mutex_lock(&cx_lock);
	enable_later = false;
	err = disable();
	mutex_unlock(&cx_lock);
	return err;
}

/**
 * cx_drop_all() - drop all there is
 *
 * Context: process context, may sleep, for some seconds.
 * Return: 0; -EBUSY or -EINTR when pages are left: in use by somebody, or new.
 */
int cx_drop_all(void)
{
	int err;

	mutex_lock(&cx_lock);
	err = drop_all();
	mutex_unlock(&cx_lock);
	return err;
}

/*
 * An image has no pmem, but the page cache that refers to it. While it is made and read the pmem
 * could be used by another kernel.
 */
static int begin_hibernation(void)
{
	int err;

	mutex_lock(&cx_lock);
	/* It is set already if this module came when the system was about to. */
	enable_later |= enabled;
	err = disable();
	mutex_unlock(&cx_lock);
	return err;
}

static void end_hibernation(void)
{
	mutex_lock(&cx_lock);
	if (enable_later)
		enable_or_say();
	enable_later = false;
	mutex_unlock(&cx_lock);
}

static int pm_event(struct notifier_block *nb, unsigned long event, void *unused)
{
	switch (event) {
	case PM_HIBERNATION_PREPARE:
		if (!begin_hibernation())
			break;
		pr_err("no hibernation: pages of the page cache in pmem are in use\n");
		end_hibernation();
		return notifier_from_errno(-EBUSY);
	case PM_POST_HIBERNATION:
		end_hibernation();
		break;
	}
	return NOTIFY_DONE;
}

/* If this kernel can't, "features" says why, else the log; all else is there. */
static void begin(void)
{
	mutex_lock(&cx_lock);
	if (pmem_tier_hibernating())
		enable_later = true;
	else
		enable_or_say();
	mutex_unlock(&cx_lock);
}

static struct notifier_block pm_notifier = { .notifier_call = pm_event };

static int __init pmem_cachex_init(void)
{
	int err;

	/* Reclaim of memory may wait for the room that it makes. */
	cx_wq = alloc_workqueue("pmem_cachex", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!cx_wq)
		return -ENOMEM;
	err = cx_promote_init();
	if (err)
		goto out_wq;
	err = cx_targets_init();
	if (err)
		goto out_promote;
	pmem_tier_feature_add(&cx_feature);
	err = cx_sysfs_init();
	if (err)
		goto out_feature;
	err = targets ? cx_targets_set(targets) : 0;
	/* A parameter that isn't accepted is one error to modprobe. */
	if (err == -E2BIG)
		err = -EINVAL;
	if (err)
		goto out_sysfs;
	err = pmem_tier_register_client(&client);
	if (err)
		goto out_sysfs;
	err = cx_small_init();
	if (err)
		goto out_client;
	err = register_pm_notifier(&pm_notifier);
	if (err)
		goto out_small;
	begin();
	return 0;

out_small:
	cx_small_exit();
out_client:
	/* As below, in pmem_cachex_exit(). */
	cx_sysfs_exit();
	cx_disable();
	pmem_tier_unregister_client(&client);
	goto out_files_gone;
out_sysfs:
	cx_sysfs_exit();
	/* Enabled by somebody, without a tier to take pages from. */
	cx_disable();
out_files_gone:
	cx_admit_exit();
	cx_stats_exit();
out_feature:
	pmem_tier_feature_del(&cx_feature);
	cx_targets_exit();
out_promote:
	cx_promote_exit();
out_wq:
	destroy_workqueue(cx_wq);
	return err;
}

static void __exit pmem_cachex_exit(void)
{
	unregister_pm_notifier(&pm_notifier);
	cx_small_exit();
	/* Files first: they can enable it. */
	cx_sysfs_exit();
	cx_disable();
	/* What is left is core's to take back: it has no use for us. */
	pmem_tier_unregister_client(&client);
	pmem_tier_feature_del(&cx_feature);
	cx_promote_exit();
	cx_targets_exit();
	cx_admit_exit();
	destroy_workqueue(cx_wq);
	cx_stats_exit();
}

module_init(pmem_cachex_init);
module_exit(pmem_cachex_exit);

MODULE_DESCRIPTION("Keeps evicted page cache in persistent memory claimed by pmem_tier");
MODULE_AUTHOR("pmemswap contributors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
