// SPDX-License-Identifier: GPL-2.0-only
/*
 * Long-term pins: whose DRAM it is when mm moves a lent page there.
 */

/**
 * DOC: long-term pins
 *
 * Device memory can't be pinned for long (io_uring's fixed buffers, RDMA, VFIO): mm
 * moves such a page to DRAM first. The new page is charged to whom the old one was: for
 * a lent page that is nobody. So pmem_tier has this do it in its place, as for a
 * drain: charged to the cgroup, or not at all.
 */

#include <linux/mm.h>
#include <linux/pagemap.h>

#include "pmemswap.h"

/**
 * ps_long_pin() - move a lent page that is to be pinned for long
 * @tier: its tier
 * @folio: the page, with a reference that is dropped in any case
 *
 * Context: process context, may sleep; the device stays.
 * Return: 0: the page is gone from there, the caller looks again; 1: it can't be pinned.
 */
unsigned int ps_long_pin(struct pmem_tier *tier, struct folio *folio)
{
	unsigned long pfn = folio_pfn(folio);

	/* Somebody may be moving it already. */
	folio_lock(folio);
	folio_unlock(folio);
	/* It can't move while the caller's reference is there, which is ours to drop. */
	folio_put(folio);
	return ps_drain_page(tier->priv[PMEM_TIER_SWAP], pfn) ? 0 : 1;
}
