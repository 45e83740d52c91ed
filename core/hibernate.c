// SPDX-License-Identifier: GPL-2.0-only
/*
 * No hibernation while an image would lack something.
 *
 * An image has no pmem, but what refers to it: pages that mm holds, and memory maps
 * that are there. Frontends look after their own pages. This is for what outlives them, such
 * as pages of the page cache that somebody held when pmem_cachex was unloaded.
 */
#define pr_fmt(fmt) "pmem_tier: " fmt

#include <linux/notifier.h>
#include <linux/suspend.h>

#include "core.h"

/* Set before frontends look after their own, until it is over or refused. */
static bool hibernating;

/**
 * pmem_tier_hibernating() - is the system about to hibernate?
 *
 * Who begins to use pmem under a lock that its own notifier takes too is either seen by that, or
 * sees it here.
 *
 * Context: any.
 * Return: true when nobody may begin to use pmem.
 */
bool pmem_tier_hibernating(void)
{
	return READ_ONCE(hibernating);
}
EXPORT_SYMBOL_GPL(pmem_tier_hibernating);

static int first(struct notifier_block *block, unsigned long event, void *data)
{
	if (event == PM_HIBERNATION_PREPARE) {
		WRITE_ONCE(hibernating, true);
	} else if (event == PM_POST_HIBERNATION) {
		tier_hibernate_done();
		WRITE_ONCE(hibernating, false);
	}
	return NOTIFY_DONE;
}

static int last(struct notifier_block *block, unsigned long event, void *data)
{
	if (event != PM_HIBERNATION_PREPARE)
		return NOTIFY_DONE;
	return notifier_from_errno(tier_hibernate_prepare());
}

/* Before those of frontends; and behind them, as they give back what they can. */
static struct notifier_block first_block = { .notifier_call = first, .priority = 1 };
static struct notifier_block last_block = { .notifier_call = last, .priority = -1 };

/**
 * tier_hibernate_init() - begin to watch for hibernation
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative error.
 */
int tier_hibernate_init(void)
{
	int err = register_pm_notifier(&first_block);

	if (err)
		return err;
	err = register_pm_notifier(&last_block);
	if (err)
		unregister_pm_notifier(&first_block);
	return err;
}

/**
 * tier_hibernate_exit() - stop watching
 *
 * Context: process context, may sleep.
 */
void tier_hibernate_exit(void)
{
	unregister_pm_notifier(&last_block);
	unregister_pm_notifier(&first_block);
}
