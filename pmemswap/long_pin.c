// SPDX-License-Identifier: GPL-2.0-only
/*
 * Long-term pins: whose DRAM it is when mm moves a lent page there.
 */

/**
 * DOC: long-term pins
 *
 * Device memory can't be pinned for long (io_uring's fixed buffers, RDMA, VFIO): mm
 * moves such a page to DRAM first, by migrate_device_coherent_folio(). The new page is
 * charged to whom the old one was: for a lent page that is nobody. So this does it
 * in its place, as for a drain: charged to the cgroup, or not at all.
 */

#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/srcu.h>

#include "pmemswap.h"

static struct pmem_tier_hook long_pin_hook = {
	.prototype = "int migrate_device_coherent_folio(struct folio *)",
	.trampoline = ps_tramp_long_pin,
};

/* Keeps a device there once its page's reference is dropped. */
DEFINE_STATIC_SRCU(long_pin_srcu);

/* 0: the page is gone from there, the caller looks again; 1: it can't be pinned. */
static unsigned int move(struct pmemswap *ps, struct folio *folio)
{
	unsigned long pfn = folio_pfn(folio);

	/* Somebody may be moving it already. */
	folio_lock(folio);
	folio_unlock(folio);
	/* It can't move while the caller's reference is there, which is ours to drop. */
	folio_put(folio);
	return ps_drain_page(ps, pfn) ? 0 : 1;
}

/*
 * In place of migrate_device_coherent_folio(): returns what it would, but for the
 * sign of an error, which nobody looks at.
 */
asmlinkage unsigned int ps_hook_long_pin(struct folio *folio)
{
	unsigned int ret = PMEM_TIER_HOOK_PASS;
	struct pmem_tier *tier;
	int idx;

	pmem_tier_hook_enter(&long_pin_hook);
	idx = srcu_read_lock(&long_pin_srcu);
	tier = pmem_tier_page_tier(&folio->page);
	if (tier)
		ret = move(tier->priv[PMEM_TIER_SWAP], folio);
	srcu_read_unlock(&long_pin_srcu, idx);
	pmem_tier_hook_exit(&long_pin_hook);
	return ret;
}

/**
 * ps_long_pin_enable() - make sure that pinned pages are charged
 *
 * Context: process context, may sleep.
 * Return: 0, or a negative error: then no page may be lent.
 */
int ps_long_pin_enable(void)
{
	return pmem_tier_hook_install(&long_pin_hook, &ps_map_in_feature);
}

/**
 * ps_long_pin_disable() - undo ps_long_pin_enable()
 *
 * Context: process context, may sleep; no page is lent.
 */
void ps_long_pin_disable(void)
{
	pmem_tier_hook_remove(&long_pin_hook);
}

/**
 * ps_long_pin_wait() - wait for those who may look at a device yet
 *
 * Context: process context, may sleep; no page of the device is lent.
 */
void ps_long_pin_wait(void)
{
	synchronize_srcu(&long_pin_srcu);
}
