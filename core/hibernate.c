// SPDX-License-Identifier: GPL-2.0-only
/*
 * No hibernation while mm holds pages: an image has none of them, but what refers to them.
 *
 * Frontends look after their own. This is for what outlives them, such as pages of the page
 * cache that somebody held when pmem_cachex was unloaded.
 */
#define pr_fmt(fmt) "pmem_tier: " fmt

#include <linux/notifier.h>
#include <linux/suspend.h>

#include "core.h"

static int notify(struct notifier_block *block, unsigned long event, void *data)
{
	if (event == PM_HIBERNATION_PREPARE && tier_any_lent())
		return notifier_from_errno(-EBUSY);
	return NOTIFY_DONE;
}

/* Behind those of frontends, which give back what they can. */
static struct notifier_block block = { .notifier_call = notify, .priority = -1 };

/**
 * tier_hibernate_init() - begin to watch for hibernation
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative error.
 */
int tier_hibernate_init(void)
{
	return register_pm_notifier(&block);
}

/**
 * tier_hibernate_exit() - stop watching
 *
 * Context: process context, may sleep.
 */
void tier_hibernate_exit(void)
{
	unregister_pm_notifier(&block);
}
