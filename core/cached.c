// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a pmem page in the page cache: its beginning and its end.
 */

/**
 * DOC: pages in the page cache
 *
 * Such a page is a page of the page cache as any other, but that it is on no LRU list, and
 * charged to nobody. It belongs to the root cgroup: mm takes it for granted that a page
 * that is dirtied or replaced belongs to one.
 *
 * It isn't counted in NR_FILE_PAGES, or "Cached" would be more than there is memory. But mm
 * subtracts it when it leaves the page cache, so its end adds it.
 */

#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/vmstat.h>
#include <pmem_tier/dram.h>

#include "core.h"

/* What accesses leave in a page's flags, with the multi-generational LRU and without. */
#define USED_FLAGS	(BIT(PG_referenced) | BIT(PG_workingset) | LRU_REFS_MASK)

/* memcg_data of a page that the root cgroup has, 0 without memory cgroups. */
static unsigned long root_memcg;

/**
 * tier_cached_init() - find the root cgroup
 *
 * It is always the same one, but while cgroups are mounted the way to it isn't there.
 *
 * Context: process context, may sleep.
 */
void tier_cached_init(void)
{
	struct cgroup_subsys_state *css = NULL;

	if (mem_cgroup_disabled())
		return;
	while (!css) {
		rcu_read_lock();
		css = rcu_dereference(memory_cgrp_subsys.root->cgrp.subsys[memory_cgrp_id]);
		rcu_read_unlock();
		if (!css)
			cond_resched();
	}
	root_memcg = (unsigned long)mem_cgroup_from_css(css);
}

/**
 * pmem_tier_root_memcg() - what a page of the root cgroup has in memcg_data
 *
 * Context: any.
 * Return: it; 0 without memory cgroups.
 */
unsigned long pmem_tier_root_memcg(void)
{
	return root_memcg;
}
EXPORT_SYMBOL_GPL(pmem_tier_root_memcg);

/**
 * pmem_tier_cached_is_roots() - does a page belong to the root cgroup?
 * @page: the page, of the page cache, locked
 *
 * Each does from the start; cgroup v1 can move it elsewhere.
 *
 * Context: any.
 * Return: true if so.
 */
bool pmem_tier_cached_is_roots(const struct page *page)
{
	return READ_ONCE(page->memcg_data) == root_memcg;
}
EXPORT_SYMBOL_GPL(pmem_tier_cached_is_roots);

/**
 * pmem_tier_lend_cached() - make a page one of the page cache
 * @tier: the tier
 * @page: the page, allocated for PMEM_TIER_CACHE, its data copied
 * @mapping: whose it will be
 * @index: where in the mapping
 * @shadow: what mm would have put there instead
 *
 * It has one reference then, for the mapping. The caller stores it there, under the i_pages
 * lock, which can't fail. Others may find it by its pfn before, and lock it: but to
 * take it out takes the lock of i_pages.
 *
 * Context: any.
 */
void pmem_tier_lend_cached(struct pmem_tier *tier, struct page *page,
			   struct address_space *mapping, pgoff_t index,
			   void *shadow)
{
	/*
	 * PG_active: folio_mark_accessed() of the classic LRU would take a page without
	 * it for one to be activated on the second access, and clear PG_referenced.
	 * Who has no reference changes hints at most, of the page's last life.
	 */
	data_race(page->flags |= BIT(PG_uptodate) | BIT(PG_active));
	page->mapping = mapping;
	page->index = index;
	page->private = 0;
	page->zone_device_data = shadow;
	page->memcg_data = root_memcg;
	/*
	 * All of it before others can get a reference, the data (non-temporal
	 * stores) included. Pairs with their try-get.
	 */
	wmb();
	set_page_count(page, 1);
	tier_lent(to_tier_ns(tier), page, 1);
}
EXPORT_SYMBOL_GPL(pmem_tier_lend_cached);

/**
 * pmem_tier_cached_used() - has a page been used since it was last asked for?
 * @page: the page, of the page cache
 *
 * By read(2) and the like, or through a mapping that is gone or was looked at by mm.
 *
 * Context: any.
 * Return: true if so.
 */
bool pmem_tier_cached_used(struct page *page)
{
	unsigned long flags = READ_ONCE(page->flags);

	if (!(flags & USED_FLAGS))
		return false;
	while (!try_cmpxchg(&page->flags, &flags, flags & ~USED_FLAGS))
		;
	return true;
}
EXPORT_SYMBOL_GPL(pmem_tier_cached_used);

/**
 * pmem_tier_cached_shadow() - what mm would have left in place of a page
 * @page: the page, of the page cache; the caller has a reference
 *
 * Context: any.
 * Return: the shadow entry, for workingset_refault().
 */
void *pmem_tier_cached_shadow(struct page *page)
{
	return page->zone_device_data;
}
EXPORT_SYMBOL_GPL(pmem_tier_cached_shadow);

/* One of them is gone. Who sees that it was the last one lets go of the module. */
static void orphan_gone(struct tier_ns *ns)
{
	/* Our page before we look at the others: of the last two, one sees it. */
	smp_mb();
	/*
	 * The module stays for as long as it takes to return: unloading it waits
	 * for our caller's reference to the range.
	 */
	if (!tier_pool_used(ns, PMEM_TIER_CACHE) && xchg(&ns->orphans, false))
		module_put(THIS_MODULE);
}

/**
 * tier_cached_orphaned() - a tier's client for the page cache goes
 * @ns: the tier
 *
 * Pages that somebody holds stay. Nothing could be done about them while the
 * module waits for them in its unloading: so until then it can't be unloaded.
 *
 * Context: process context.
 */
void tier_cached_orphaned(struct tier_ns *ns)
{
	if (!tier_pool_used(ns, PMEM_TIER_CACHE) || READ_ONCE(ns->orphans))
		return;
	__module_get(THIS_MODULE);
	WRITE_ONCE(ns->orphans, true);
	/* They may be gone by now. */
	orphan_gone(ns);
}

/**
 * tier_cached_page_free() - the last reference to a page of the page cache is gone
 * @ns: the tier
 * @page: the page: no mapping has it any more
 *
 * Context: any, interrupts in any state.
 */
void tier_cached_page_free(struct tier_ns *ns, struct page *page)
{
	struct folio *folio = page_folio(page);
	unsigned long index = pmem_tier_page_index(&ns->tier, page);
	struct pmem_tier_client *soft;

	rcu_read_lock();
	soft = rcu_dereference(ns->soft);
	if (soft)
		soft->freed(&ns->tier, index, page->flags & USED_FLAGS);
	rcu_read_unlock();
	/* mm took it from the root cgroup's, which is forgotten by now. */
	page->memcg_data = root_memcg;
	lruvec_stat_mod_folio(folio, NR_FILE_PAGES, 1);
	page->memcg_data = 0;
	tier_page_forget(page);
	pmem_tier_free(&ns->tier, index, PMEM_TIER_CACHE);
	if (unlikely(READ_ONCE(ns->orphans)))
		orphan_gone(ns);
}
