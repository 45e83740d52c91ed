// SPDX-License-Identifier: GPL-2.0-only
/*
 * Long-term pins of lent pages: the client that lent the page sees to them.
 */

/**
 * DOC: long-term pins
 *
 * Device memory can't be pinned for long (io_uring's fixed buffers, RDMA, VFIO): mm
 * moves such a page to DRAM first, by migrate_device_coherent_folio(). For an anonymous
 * page that charges nobody for the DRAM; for a page of the page cache it is wrong: it
 * knows nothing of what a filesystem keeps with a page, nor of one that is
 * dirty or under writeback. So the client does it in its place.
 *
 * Who looks at a page has a reference, or its lock, for a moment, and a filesystem may let go of
 * what it has written a little later, in a worker (btrfs: ordered extents). So the client is asked
 * again for a second or so, until the pin fails.
 */

#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/srcu.h>
#include <linux/static_call.h>
#include <linux/swap.h>
#include <pmem_tier/hooks.h>

#include "core.h"

/* How often a page is tried, and how long is waited at first. */
#define PIN_TRIES	10
#define PIN_US		1000

DEFINE_STATIC_CALL_NULL(tier_lru_add_drain_all, lru_add_drain_all);

static struct pmem_tier_hook long_pin_hook = {
	.prototype = "int migrate_device_coherent_folio(struct folio *)",
	.trampoline = tier_tramp_long_pin,
};

/* enable_lock makes installing the hook one step. */
static DEFINE_MUTEX(enable_lock);

/* Keeps the page's tier and client there once the page's reference is dropped. */
DEFINE_STATIC_SRCU(long_pin_srcu);

/* Returns 0 when the page is gone from where it was, 1 when it can't be pinned. */
static unsigned int move_away(struct tier_ns *ns, struct folio *folio)
{
	unsigned long index = pmem_tier_page_index(&ns->tier, &folio->page);
	/* Only compared: the page may become another one's when the reference goes. */
	struct address_space *mapping = READ_ONCE(folio->mapping);
	struct pmem_tier_client *client;
	int i, err = -EBUSY;

	/* While there is a reference it stays what it is. */
	client = tier_client_of(ns, index);
	/* It can't move while it is there. */
	folio_put(folio);
	if (!client)
		return 1;
	for (i = 0; i < PIN_TRIES && !fatal_signal_pending(current); i++) {
		if (i)
			fsleep(PIN_US << i);
		/* Truncated, migrated or freed. */
		if (!mapping || READ_ONCE(folio->mapping) != mapping)
			return 0;
		err = client->long_pin(&ns->tier, index);
		if (err != -EBUSY)
			break;
		pmem_tier_drop_cpu_refs();
	}
	return err ? 1 : 0;
}

/**
 * tier_hook_long_pin() - in place of migrate_device_coherent_folio()
 * @folio: the page, with a reference that goes in any case
 *
 * Context: process context, may sleep.
 * Return: what that function would, but for the sign of an error, which nobody looks
 * at; or PMEM_TIER_HOOK_PASS.
 */
asmlinkage unsigned int tier_hook_long_pin(struct folio *folio)
{
	unsigned int ret = PMEM_TIER_HOOK_PASS;
	struct pmem_tier *tier;
	int idx;

	pmem_tier_hook_enter(&long_pin_hook);
	idx = srcu_read_lock(&long_pin_srcu);
	tier = pmem_tier_page_tier(&folio->page);
	if (tier)
		ret = move_away(to_tier_ns(tier), folio);
	srcu_read_unlock(&long_pin_srcu, idx);
	pmem_tier_hook_exit(&long_pin_hook);
	return ret;
}

/**
 * pmem_tier_long_pin_enable() - see to it that long-term pins come to the clients
 * @feature: what it is for: off when this fails
 *
 * From then on it stays so: pages of the page cache outlive their client.
 *
 * Context: process context, may sleep.
 * Return: 0, or a negative error: then no page may be lent.
 */
int pmem_tier_long_pin_enable(struct pmem_tier_feature *feature)
{
	void *drain = pmem_tier_symbol(feature, "void lru_add_drain_all(void)");
	int err = 0;

	if (!drain)
		return -EOPNOTSUPP;
	mutex_lock(&enable_lock);
	static_call_update(tier_lru_add_drain_all, drain);
	if (!long_pin_hook.installed)
		err = pmem_tier_hook_install(&long_pin_hook, feature);
	mutex_unlock(&enable_lock);
	return err;
}
EXPORT_SYMBOL_GPL(pmem_tier_long_pin_enable);

/**
 * pmem_tier_drop_cpu_refs() - have all CPUs let go of pages
 *
 * Each keeps references to the last pages that came out of locked VMAs (mlock), and to the
 * last buffers that a filesystem has looked up, until there are more of them.
 *
 * Context: process context, may sleep. Does nothing before pmem_tier_long_pin_enable().
 */
void pmem_tier_drop_cpu_refs(void)
{
	static_call_cond(tier_lru_add_drain_all)();
}
EXPORT_SYMBOL_GPL(pmem_tier_drop_cpu_refs);

/**
 * tier_poisoned() - a page that may be lent has failed
 * @ns: the tier
 * @index: the page, marked bad
 * @flags: of memory_failure()
 *
 * Context: process context, may sleep.
 * Return: true when nobody can come across it any more.
 */
bool tier_poisoned(struct tier_ns *ns, unsigned long index, int flags)
{
	bool handled;
	int idx;

	/* As for long pins: a client that is found stays. */
	idx = srcu_read_lock(&long_pin_srcu);
	handled = tier_client_poisoned(ns, index, flags);
	srcu_read_unlock(&long_pin_srcu, idx);
	return handled;
}

/**
 * tier_long_pin_wait() - wait for those who may look at a client yet
 *
 * Context: process context, may sleep.
 */
void tier_long_pin_wait(void)
{
	synchronize_srcu(&long_pin_srcu);
}

/**
 * tier_long_pin_exit() - undo pmem_tier_long_pin_enable()
 *
 * Context: process context, may sleep; no page is lent.
 */
void tier_long_pin_exit(void)
{
	pmem_tier_hook_remove(&long_pin_hook);
}
