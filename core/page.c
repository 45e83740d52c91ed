// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of one pmem page as mm sees it: last reference and memory failure.
 */
#define pr_fmt(fmt) "pmem_tier: " fmt

#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/module.h>

#include "core.h"

static struct tier_ns *pgmap_to_ns(struct dev_pagemap *pgmap)
{
	return container_of(pgmap, struct tier_ns, pgmap);
}

/**
 * tier_page_forget() - nothing that mm left on a page meets its next owner
 * @page: the page, nobody's
 *
 * PG_reserved is what marks device memory for pfn walkers, and zone and node are part of
 * the flags word: they stay. Which pages are bad the pool knows by itself.
 *
 * Context: any.
 */
void tier_page_forget(struct page *page)
{
	struct folio *folio = page_folio(page);

	/* munlock() knows no ZONE_DEVICE pages. As __page_cache_release() does for others. */
	if (unlikely(folio_test_mlocked(folio))) {
		mod_zone_page_state(page_zone(page), NR_MLOCK, -1);
		count_vm_event(UNEVICTABLE_PGCLEARED);
	}
	/* Who has no reference changes hints at most: PG_waiters, what tells of accesses. */
	data_race(page->flags &= ~(PAGE_FLAGS_CHECK_AT_PREP | __PG_HWPOISON) |
				 (1UL << PG_reserved));
}

/**
 * pmem_tier_lent() - account pages that mm has just been given
 * @tier: the tier
 * @page: one of them
 * @nr: how many, all of the same tier
 *
 * Each has its first reference already, and keeps it until this returns.
 *
 * Context: any.
 */
void pmem_tier_lent(struct pmem_tier *tier, struct page *page, int nr)
{
	tier_lent(to_tier_ns(tier), page, nr);
}
EXPORT_SYMBOL_GPL(pmem_tier_lent);

/**
 * pmem_tier_unlent() - mm has no reference to a lent page any more
 * @tier: the tier
 * @page: the page, mapped by nobody, its references frozen by the client
 *
 * As if mm had dropped the last one, but that nobody is called: the page is the
 * client's again.
 *
 * Context: any.
 */
void pmem_tier_unlent(struct pmem_tier *tier, struct page *page)
{
	struct tier_ns *ns = to_tier_ns(tier);

	page->mapping = NULL;
	tier_page_forget(page);
	this_cpu_dec(ns->counts->lent);
	tier_returned(ns);
	put_dev_pagemap(page->pgmap);
}
EXPORT_SYMBOL_GPL(pmem_tier_unlent);

/* The last reference to a lent page is gone. */
static void tier_page_free(struct page *page)
{
	struct tier_ns *ns = pgmap_to_ns(page->pgmap);
	unsigned long index = pmem_tier_page_index(&ns->tier, page);

	if (pmem_tier_index_cached(&ns->tier, index)) {
		tier_cached_page_free(ns, page);
		goto out;
	}
	tier_page_forget(page);
	/* The client stays for as long as it counts as lent. */
	tier_client_page_free(ns, page);
out:
	this_cpu_dec(ns->counts->lent);
	tier_returned(ns);
}

/*
 * A page that isn't lent is nobody's in mm's eyes: marking it is all there is to do, the client
 * sees the mark before it reads, or writes. One that is lent is for the client to take away from
 * those who have it.
 */
static int page_failed(struct tier_ns *ns, unsigned long pfn, int mf_flags)
{
	unsigned long index = pfn - ns->tier.first_pfn;

	tier_badblocks_failed(pfn, GFP_KERNEL);
	/* Either tier_set_up() sees that, or this sees that the pool is there. */
	smp_mb();
	if (tier_pool_mark_bad(ns, PFN_PHYS(pfn) - ns->phys, PAGE_SIZE))
		return 0;
	/*
	 * Before that nothing is lent, nor in the guard areas and the memory map. Pairs with
	 * tier_set_up().
	 */
	if (smp_load_acquire(&ns->pool_ready) && index < ns->tier.nr_pages &&
	    page_count(pfn_to_page(pfn)))
		return tier_poisoned(ns, index, mf_flags) ? 0 : -ENXIO;
	/* Who has looked for the mark may be about to write to it. */
	return -EHWPOISON;
}

/*
 * mm learned of an uncorrectable error. 0 has who called, where he handles a machine check, take
 * the page out of the direct map and let the process go on: not while somebody may yet read or
 * write it there, nor when the process can't. -EHWPOISON ("known already") leaves it there, and
 * the process goes on, too; any other error kills it. -EOPNOTSUPP would have mm take anon_vma for
 * an address_space.
 */
static int tier_memory_failure(struct dev_pagemap *pgmap, unsigned long pfn,
			       unsigned long nr_pages, int mf_flags)
{
	int err = mf_flags & MF_MUST_KILL ? -ENXIO : 0, failed;
	unsigned long i;

	for (i = 0; i < nr_pages; i++) {
		failed = page_failed(pgmap_to_ns(pgmap), pfn + i, mf_flags);
		if (failed && err != -ENXIO)
			err = failed;
	}
	return err;
}

const struct dev_pagemap_ops tier_pagemap_ops = {
	.page_free = tier_page_free,
	.memory_failure = tier_memory_failure,
};

/**
 * pmem_tier_page_tier() - the tier that a page is of
 * @page: the page; the caller has a reference to it
 *
 * Context: any.
 * Return: the tier, or NULL for any other memory.
 */
struct pmem_tier *pmem_tier_page_tier(const struct page *page)
{
	if (!is_zone_device_page(page) ||
	    page->pgmap->ops != &tier_pagemap_ops)
		return NULL;
	return &pgmap_to_ns(page->pgmap)->tier;
}
EXPORT_SYMBOL_GPL(pmem_tier_page_tier);
