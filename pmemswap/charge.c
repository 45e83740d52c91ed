// SPDX-License-Identifier: GPL-2.0-only
/*
 * Charging: whose DRAM it is when a lent page moves there.
 *
 * A lent page is charged as swap: its swap entry keeps the charge it had. As memory it
 * is charged to nobody, and has no cgroup; that also spares mm most of the work of
 * mapping and freeing it. On its way to DRAM, where a page has to have one,
 * it is charged as memory to the cgroup that the entry is charged to, within its
 * limits; migration hands that charge to the new page.
 */
#define pr_fmt(fmt) "pmemswap: " fmt

#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/static_call.h>
#include <linux/swap_cgroup.h>
#include <linux/swapops.h>
#include <pmem_tier/dram.h>

#include "pmemswap.h"

DEFINE_STATIC_CALL_NULL(ps_lookup_swap_cgroup_id, lookup_swap_cgroup_id);
DEFINE_STATIC_CALL_NULL(ps_mem_cgroup_from_id, mem_cgroup_from_id);
DEFINE_STATIC_CALL_NULL(ps_mem_cgroup_charge, __mem_cgroup_charge);
DEFINE_STATIC_CALL_NULL(ps_mem_cgroup_uncharge, __mem_cgroup_uncharge);

/**
 * ps_charge_init() - find what charging takes
 *
 * Context: process context, may sleep.
 * Return: 0, or -EOPNOTSUPP: then no page may be lent.
 */
int ps_charge_init(void)
{
	struct pmem_tier_feature *f = &ps_map_in_feature;
	void *lookup = pmem_tier_symbol(f,
		"unsigned short lookup_swap_cgroup_id(swp_entry_t)");
	void *from_id = pmem_tier_symbol(f,
		"struct mem_cgroup *mem_cgroup_from_id(unsigned short)");
	void *charge = pmem_tier_symbol(f,
		"int __mem_cgroup_charge(struct folio *, struct mm_struct *, unsigned int)");
	void *uncharge = pmem_tier_symbol(f,
		"void __mem_cgroup_uncharge(struct folio *)");

	if (!lookup || !from_id || !charge || !uncharge)
		return -EOPNOTSUPP;
	static_call_update(ps_lookup_swap_cgroup_id, lookup);
	static_call_update(ps_mem_cgroup_from_id, from_id);
	static_call_update(ps_mem_cgroup_charge, charge);
	static_call_update(ps_mem_cgroup_uncharge, uncharge);
	return 0;
}

/**
 * ps_charge_find() - the cgroup that a swap entry is charged to
 * @entry: the entry, in use
 *
 * Context: any.
 * Return: the cgroup, or the nearest one above that is online, with a reference
 * for the caller; NULL when there is none.
 */
struct mem_cgroup *ps_charge_find(swp_entry_t entry)
{
	struct mem_cgroup *memcg;

	if (mem_cgroup_disabled())
		return NULL;
	rcu_read_lock();
	memcg = static_call(ps_mem_cgroup_from_id)
		(static_call(ps_lookup_swap_cgroup_id)(entry));
	memcg = pmem_tier_memcg_get(memcg);
	rcu_read_unlock();
	return memcg;
}

/**
 * ps_charge_same() - are two swap entries charged to the same cgroup?
 * @a: one, in use
 * @b: the other, in use
 *
 * Context: any.
 * Return: true if so: then they can be freed together.
 */
bool ps_charge_same(swp_entry_t a, swp_entry_t b)
{
	return mem_cgroup_disabled() ||
	       static_call(ps_lookup_swap_cgroup_id)(a) ==
	       static_call(ps_lookup_swap_cgroup_id)(b);
}

/**
 * ps_charge_move() - a lent page is about to move to DRAM: charge it
 * @page: the page, locked and mapped by nobody
 * @memcg: the cgroup it belongs to, or NULL: then it becomes the root's, which isn't
 *	charged for anything
 * @patience: __GFP_NORETRY or __GFP_RETRY_MAYFAIL
 *
 * Context: process context, may sleep for reclaim. Nobody is killed for it.
 * Return: true; false when the cgroup has no room: the page must stay.
 */
bool ps_charge_move(struct page *page, struct mem_cgroup *memcg, gfp_t patience)
{
	struct mem_cgroup *old;
	int err;

	if (!memcg) {
		page->memcg_data = pmem_tier_root_memcg();
		return true;
	}
	old = set_active_memcg(memcg);
	/* A task that holds locks of a filesystem may wait for this very page. */
	err = static_call(ps_mem_cgroup_charge)(page_folio(page), NULL,
						GFP_NOFS | __GFP_NOWARN |
						patience);
	set_active_memcg(old);
	return !err;
}

/**
 * ps_charge_stay() - a page that ps_charge_move() charged didn't move
 * @page: the page, still locked
 *
 * Context: process context.
 */
void ps_charge_stay(struct page *page)
{
	if (page->memcg_data != pmem_tier_root_memcg())
		static_call(ps_mem_cgroup_uncharge)(page_folio(page));
	page->memcg_data = 0;
}
