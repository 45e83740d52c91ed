// SPDX-License-Identifier: GPL-2.0-only
/*
 * No hibernation while a device is in use.
 *
 * The slot table is in DRAM and made anew at boot: an image written to the device
 * could never be found again. And pages of a memmap= namespace are plain memory that
 * isn't part of any image, so what was swapped out or lent would be lost.
 */
#define pr_fmt(fmt) "pmemswap: " fmt

#include <linux/notifier.h>
#include <linux/suspend.h>

#include "pmemswap.h"

static int nr_in_use;

static void look_for_users(struct pmemswap *ps)
{
	bool in_use;

	mutex_lock(&ps->disk->open_mutex);
	in_use = disk_openers(ps->disk) || ps_lent_pages(ps);
	mutex_unlock(&ps->disk->open_mutex);
	if (!in_use)
		return;
	pr_err("%s: in use: no hibernation (swapoff, or close it, first)\n",
	       ps->disk->disk_name);
	nr_in_use++;
}

static int notify(struct notifier_block *block, unsigned long event, void *data)
{
	if (event != PM_HIBERNATION_PREPARE)
		return NOTIFY_DONE;
	nr_in_use = 0;
	ps_each_device(look_for_users);
	return nr_in_use ? notifier_from_errno(-EBUSY) : NOTIFY_DONE;
}

static struct notifier_block block = { .notifier_call = notify };

/**
 * ps_hibernate_init() - begin to watch for hibernation
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative error.
 */
int ps_hibernate_init(void)
{
	return register_pm_notifier(&block);
}

/**
 * ps_hibernate_exit() - stop watching
 *
 * Context: process context, may sleep.
 */
void ps_hibernate_exit(void)
{
	unregister_pm_notifier(&block);
}
