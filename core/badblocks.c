// SPDX-License-Identifier: GPL-2.0-only
/*
 * Known media errors: keep them out of the pool.
 */

#include <linux/libnvdimm.h>

#include "compat.h"
#include "core.h"

/* Call fn for each known bad range of the namespace, stop when it says so. */
static int for_each_bad(struct tier_ns *ns, void *data,
			bool (*fn)(struct tier_ns *ns, u64 offset, u64 bytes,
				   void *data))
{
	const struct range range = {
		.start = ns->phys,
		.end = ns->phys + ns->size - 1,
	};
	sector_t sector = 0, end = ns->size >> SECTOR_SHIFT;
	struct badblocks bb;
	int err;

	err = badblocks_init(&bb, 1);
	if (err)
		return err;
	nvdimm_badblocks_populate(to_nd_region(ns->tier.dev->parent), &bb,
				  &range);
	while (sector < end) {
		sector_t first;
		int bad;
		int span = min_t(sector_t, end - sector, SZ_1G >> SECTOR_SHIFT);

		if (!badblocks_check(&bb, sector, span, &first, &bad)) {
			sector += span;
			continue;
		}
		if (fn(ns, first << SECTOR_SHIFT, (u64)bad << SECTOR_SHIFT,
		       data))
			break;
		sector = first + bad;
	}
	badblocks_exit(&bb);
	return 0;
}

static bool mark(struct tier_ns *ns, u64 offset, u64 bytes, void *data)
{
	tier_pool_mark_bad(ns, offset, bytes);
	return false;
}

/**
 * tier_badblocks_apply() - mark the pages with known media errors in the pool
 * @ns: the tier, its pool set up
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int tier_badblocks_apply(struct tier_ns *ns)
{
	return for_each_bad(ns, NULL, mark);
}

struct overlap {
	u64 offset;
	u64 bytes;
	bool found;
};

static bool overlaps(struct tier_ns *ns, u64 offset, u64 bytes, void *data)
{
	struct overlap *o = data;

	o->found = offset < o->offset + o->bytes && o->offset < offset + bytes;
	return o->found;
}

/**
 * tier_badblocks_in() - is there a known media error in a range?
 * @ns: the tier, with phys and size set
 * @offset: begin of the range, in bytes from the start of the namespace
 * @bytes: its length
 *
 * Context: process context, may sleep.
 * Return: true when there is one, or when it can't be found out.
 */
bool tier_badblocks_in(struct tier_ns *ns, u64 offset, u64 bytes)
{
	struct overlap o = { .offset = offset, .bytes = bytes };

	return for_each_bad(ns, &o, overlaps) || o.found;
}
