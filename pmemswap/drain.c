// SPDX-License-Identifier: GPL-2.0-only
/*
 * Draining: lent pages move to DRAM, wherever they are mapped.
 */

#include <linux/highmem.h>
#include <linux/migrate.h>
#include <linux/mm.h>

#include "pmemswap.h"

#define DRAIN_BATCH	64

static unsigned long copy_to_dram(unsigned long src_pfn, int nid)
{
	struct page *src = migrate_pfn_to_page(src_pfn);
	struct page *dst;

	if (!src || !(src_pfn & MIGRATE_PFN_MIGRATE))
		return 0;
	dst = alloc_pages_node(nid, GFP_HIGHUSER_MOVABLE | __GFP_NOWARN, 0);
	if (!dst)
		return 0;
	/* A page that can't be read stays: whoever reads it is killed, others not. */
	if (copy_mc_highpage(dst, src)) {
		__free_page(dst);
		return 0;
	}
	lock_page(dst);
	return migrate_pfn(page_to_pfn(dst));
}

/**
 * ps_drain() - move lent pages of a device to DRAM
 * @ps: the device
 *
 * Pages that somebody has pinned, or for which there is no DRAM, stay where
 * they are.
 *
 * Context: process context, may sleep.
 */
void ps_drain(struct pmemswap *ps)
{
	unsigned long first = ps->tier->first_pfn, nr = ps->tier->nr_pages;
	unsigned long src[DRAIN_BATCH], dst[DRAIN_BATCH], at, i;

	for (at = 0; at < nr; at += DRAIN_BATCH) {
		unsigned long n = min(nr - at, (unsigned long)DRAIN_BATCH);

		cond_resched();
		for (i = 0; i < n; i++)
			if (page_count(pfn_to_page(first + at + i)))
				break;
		if (i == n)
			continue;
		if (migrate_device_range(src, first + at, n))
			return;
		for (i = 0; i < n; i++)
			dst[i] = copy_to_dram(src[i], ps->tier->nid);
		migrate_device_pages(src, dst, n);
		migrate_device_finalize(src, dst, n);
	}
	flush_work(&ps->return_work);
}
