/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a lent page remembers of where it came from.
 */
#ifndef _PMEMSWAP_ORIGIN_H
#define _PMEMSWAP_ORIGIN_H

#include <linux/mm_types.h>
#include <linux/swap.h>
#include <linux/swapops.h>

/**
 * DOC: the origin of a lent page
 *
 * A lent page has in zone_device_data, which mm leaves alone while it migrates the
 * page, the swap entry it came from, of which it owns one reference. swapoff, which
 * takes that reference away, puts the cgroup there that the entry was charged to,
 * with a reference, or NO_MEMCG. Swap entries have to fit into the values of an
 * XArray, so they never have the top bit; kernel addresses do. Once the page is
 * returned the value is in page->private.
 */
#define NO_MEMCG	BIT(BITS_PER_LONG - 1)

static inline bool is_memcg(unsigned long origin)
{
	BUILD_BUG_ON(SWP_TYPE_SHIFT + MAX_SWAPFILES_SHIFT >= BITS_PER_LONG);
	return origin & NO_MEMCG;
}

static inline struct mem_cgroup *to_memcg(unsigned long origin)
{
	if (!is_memcg(origin) || origin == NO_MEMCG)
		return NULL;
	return (struct mem_cgroup *)origin;
}

static inline unsigned long lent_origin(const struct page *page)
{
	return (unsigned long)READ_ONCE(page->zone_device_data);
}

#endif /* _PMEMSWAP_ORIGIN_H */
